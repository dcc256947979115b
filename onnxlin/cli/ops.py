"""``onnxlin ops``: the operators that have rules."""

from __future__ import annotations

from collections import Counter
from typing import Any

from onnxlin.cli import arguments
from onnxlin.cli.screen import Cell, Screen
from onnxlin.rules import RULES
from onnxlin.rules.catalogue import markdown


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    command = arguments.command(commands, "ops", "List the operators that have rules.")
    command.add_argument(
        "--markdown", action="store_true", help="print every operator of every schema (docs/)"
    )


def run(options: Any, screen: Screen) -> int:
    """List the rules and return the exit code."""
    if options.markdown:
        screen.lines(markdown())
        return 0
    known = [
        {
            "domain": domain,
            "operator": op,
            "status": rule.status,
            "constant_inputs": list(rule.constant),
        }
        for (domain, op), rule in sorted(RULES.items())
    ]
    screen.document({"operators": known, "count": len(known)})
    rows: list[list[Cell]] = [
        [f"{rule['domain']}.{rule['operator']}".lstrip("."), str(rule["status"]), _held(rule)]
        for rule in known
    ]
    screen.table(["operator", "status", "operands"], rows)
    counts = Counter(str(rule["status"]) for rule in known)
    listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    screen.line()
    screen.line(
        f"{len(known)} operators: {listed}. Any opset; what does not depend on x needs no rule."
    )
    return 0


def _held(rule: dict[str, Any]) -> str:
    """Say which operands may not depend on x."""
    held = rule["constant_inputs"]
    return f"constant: {', '.join(map(str, held))}" if held else ""
