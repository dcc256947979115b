"""What ``onnxlin verify`` says: a document for programs, tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.cli.screen import Cell, Screen
from onnxlin.readings.row import summary
from onnxlin.testing.laws.subject import Subject
from onnxlin.testing.run.examine import FAILED, NOT_APPLICABLE, PASSED, SKIPPED, Finding

VERDICTS = (PASSED, NOT_APPLICABLE, FAILED, SKIPPED)


def check(subject: Subject, found: Finding) -> dict[str, Any]:
    """Return the numbers of the map at one x."""
    m = subject.map(found.drawn.feeds, found.mode)
    worst, total = summary.worst(summary.summarise(m)), sum(y.size for y in m.outputs.values())
    note = f"{len(m.rows)} of {total:,} rows of W; --rows all computes every row"
    return {
        "x": found.drawn.name,
        "rows": len(m.rows),
        "columns": len(m.x),
        "rows_note": note if len(m.rows) < total else "",
        "engine": m.engine,
        "dtype": str(m.dtype),
        "residual": None if worst is None else worst.residual,
        "bound": None if worst is None else worst.bound,
        "composition_residual": float(np.max(m.composition_residual, initial=0.0)),
        "composition_bound": float(np.max(m.composition_bound, initial=0.0)),
    }


def document(
    options: Any,
    findings: Sequence[Finding],
    checks: list[dict[str, Any]],
    failures: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return everything that was found, ready for JSON; the same for the same seed."""
    broken = {found.drawn.name for found in findings if found.verdict == FAILED}
    names = dict.fromkeys(found.drawn.name for found in findings)
    return {
        "model": options.model,
        "inputs": len(names),
        "inputs_failed": len(broken),
        "checks": [{**item, "pass": item["x"] not in broken} for item in checks],
        "laws": _by_law(findings),
        "skipped": sum(found.verdict == SKIPPED for found in findings),
        "failures": failures,
        "pass": not failures,
    }


def _by_law(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for found in findings:
        groups.setdefault((found.law.name, found.mode), []).append(found)
    return [
        {
            "law": law,
            "mode": mode,
            "about": group[0].law.about,
            **{verdict: sum(f.verdict == verdict for f in group) for verdict in VERDICTS},
            "reasons": dict(Counter(f.reason for f in group if f.verdict == NOT_APPLICABLE)),
        }
        for (law, mode), group in groups.items()
    ]


def show(shown: dict[str, Any], screen: Screen) -> None:
    """Print it for people."""
    screen.line(f"{shown['model']}: W x + b against onnxruntime, and against its own float64 pass")
    columns = ["x", "rows", "residual", "bound", "float64 residual", "float64 bound", "verdict"]
    names = ("residual", "bound", "composition_residual", "composition_bound")
    rows: list[list[Cell]] = [
        [
            item["x"],
            item["rows"],
            *("-" if item[name] is None else f"{item[name]:.2e}" for name in names),
            "PASS" if item["pass"] else "FAIL",
        ]
        for item in shown["checks"]
    ]
    screen.table(columns, rows)
    if note := next((item["rows_note"] for item in shown["checks"] if item["rows_note"]), ""):
        screen.line(note)
    _laws(shown, screen)
    good = shown["inputs"] - shown["inputs_failed"]
    screen.line()
    screen.verdict(shown["pass"], f"{good} of {shown['inputs']} inputs, {_counted(shown)}")
    for failure in shown["failures"]:
        _failure(failure, screen)


def _laws(shown: dict[str, Any], screen: Screen) -> None:
    columns = ["law", "mode", *VERDICTS, "what it says"]
    rows: list[list[Cell]] = [
        [item["law"], item["mode"], *(item[verdict] for verdict in VERDICTS), item["about"]]
        for item in shown["laws"]
    ]
    if not shown["skipped"]:
        columns.remove(SKIPPED)
        rows = [[*row[:5], row[6]] for row in rows]
    screen.heading("Laws")
    screen.table(columns, rows)
    for item in shown["laws"]:
        for reason, times in item["reasons"].items():
            text = reason.splitlines()[0] if reason else ""
            screen.line(f"  {item['law']}, {item['mode']}, {times} x: {text}")
    if shown["skipped"]:
        screen.line(f"  skipped: {shown['skipped']}, as no time was left; --seconds gives more")


def _counted(shown: dict[str, Any]) -> str:
    held = sum(item[PASSED] + item[FAILED] for item in shown["laws"])
    failed = sum(item[FAILED] for item in shown["laws"])
    return f"laws held {held} times, {failed} failures"


def _failure(failure: dict[str, Any], screen: Screen) -> None:
    laws = ", ".join(failure["laws"])
    screen.heading(
        f"{failure['times']} failures of one kind (laws {laws}); the first, at {failure['x']}:"
    )
    screen.lines(failure["message"])
    if small := failure.get("shrunk"):
        end = "" if small["complete"] else ", no smaller one was found in time"
        screen.line(
            f"  x shrunk to {small['entries']} of {small['size']:,} numbers that are not 0, "
            f"in {small['calls']} calls{end}"
        )
    for name in failure["files"]:
        screen.line(f"  wrote {name}")
