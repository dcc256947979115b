"""``onnxlin check``: what is unsupported, before any run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from onnxlin.cli import arguments, boxed, many
from onnxlin.cli.screen import Cell, Screen
from onnxlin.engines.compiled import check_model
from onnxlin.graph import Node
from onnxlin.load import load
from onnxlin.program.check import NodeReport, Report
from onnxlin.runtime.installed import knows
from onnxlin.section import Section, make_section
from onnxlin.texts import counted

TIME = 60
"""Seconds in a sandbox, unless others are asked for."""

MODES = {
    "exact": ("its affine piece", "its affine piece"),
    "smooth": ("slope at x, and a bias", "gate f(z) / z, or the value held"),
    "constant": ("W = 0", "W = 0"),
    "expanded": ("as simpler operators", "as simpler operators"),
    "unrolled": ("as it ran at x", "as it ran at x"),
    "random": ("the draw held", "the draw held"),
    "straight-through": ("identity, offset captured", "identity, offset captured"),
    "folded": ("constant at x", "constant at x"),
    "outside": ("not in the map", "not in the map"),
    "missing": ("an obstacle", "an obstacle"),
    "unsupported": ("an obstacle", "an obstacle"),
}
"""Status -> what happens in tangent and in frozen mode."""


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Say for each node, before any run, whether it can be linearised, and why not."
    command = arguments.command(commands, "check", about)
    command.add_argument("model", nargs="+", help="an .onnx file, several, or folders of such")
    command.add_argument(
        "--compiling",
        choices=("auto", "yes", "no"),
        default="auto",
        help="try whether the model compiles, which runs it once on made-up numbers (auto: unless "
        "its weights take more than 1 GiB or it has more than 5,000 nodes)",
    )
    command.add_argument(
        "--time",
        type=arguments.seconds,
        metavar="SECONDS",
        help="answer after so long with what is known by then; what was left out is said",
    )
    arguments.ends(command)
    boxed.declare(command, TIME, memory=True, timed=False)


def run(options: Any, screen: Screen) -> int:
    """Check one model or several and return the exit code."""
    paths = many.found(options.model)
    if len(paths) == 1 and paths == options.model:
        return _one(many.of(options, paths[0]), screen)
    results = {path: many.judged(_answered, many.of(options, path)) for path in paths}
    return many.summary(results, screen)


def _answered(options: Any) -> dict[str, Any]:
    """Check one of several: what its document holds."""
    found = boxed.answered(options, f"{__name__}:answer", TIME)
    return _document(options.model, Report.from_dict(found["report"]), found["fixes"])


def _document(model: str, report: Report, fixes: dict[str, str]) -> dict[str, Any]:
    document = report.as_dict()
    for node in document["nodes"]:
        node["fix"] = fixes.get(node["name"])
    return {"model": model, **document}


def _one(options: Any, screen: Screen) -> int:
    """Check a model, with a line for each node."""
    found = boxed.answered(options, f"{__name__}:answer", TIME, screen)
    report, fixes = Report.from_dict(found["report"]), found["fixes"]
    screen.document(_document(options.model, report, fixes))
    _show(options.model, report, fixes, screen)
    return 0 if report.ok and not report.empty else many.OBSTACLES


def answer(options: Any) -> dict[str, Any]:
    """Check a model, here or in a sandbox: the report, and what helps with each obstacle."""
    report = check_model(
        options.model,
        inputs=options.inputs,
        outputs=options.outputs,
        rounding=options.rounding,
        compiles={"auto": None, "yes": True, "no": False}[options.compiling],
        time=options.time,
    )
    return {"report": report.as_dict(), "fixes": _fixes(options, report)}


def _fixes(options: Any, report: Report) -> dict[str, str]:
    """Suggest, for every obstacle, where to cut the model and what else helps."""
    if not report.obstacles:
        return {}
    section = make_section(load(options.model), options.inputs, options.outputs, options.rounding)
    nodes = {node.name: node for node in section.graph.nodes}
    return {node.name: _fix(section, node, nodes[node.name]) for node in report.obstacles}


def _fix(section: Section, found: NodeReport, node: Node) -> str:
    """End the map before a node, if anything happens before it, or begin behind."""
    ways = []
    # The file's own tensors: the newest form of a node may have made others.
    before = [n for n in node.source.input if n in section.traced and n not in section.inputs]
    if before:
        ways.append(f"end before it: --outputs {before[0]}")
    behind = [n for n in node.source.output if n and n not in section.outputs]
    # The run that makes x behind a node goes through it.
    runs = knows(node.domain, node.op_type, found.opset)
    if behind and runs:
        ways.append(f"begin behind it: --inputs {behind[0]}")
    if not runs:
        ways.append("write it with standard operators, as onnxruntime does not know it either")
    elif found.status == "missing":
        ways.append("write a rule: docs/adding_a_rule.md")
    else:
        ways.append("hold that operand constant by naming the others: --inputs")
    return "; or ".join(ways)


def _show(model: str, report: Report, fixes: dict[str, str], screen: Screen) -> None:
    screen.line(f"{model}: {', '.join(report.inputs)} -> {', '.join(report.outputs)}")
    if report.refused:
        first, *more = report.refused.split("\n")
        screen.verdict(False, first)
        for line in more:
            screen.line(line)
    for note in report.notes:
        screen.line(f"note: {note}")
    for what in report.not_run:
        screen.line(f"not run: {what}")
    screen.heading(f"{counted(len(report.nodes), 'node')}")
    rows: list[list[Cell]] = [
        [_operator(node), node.opset, node.status, node.name] for node in report.nodes
    ]
    screen.table(["operator", "opset", "status", "node"], rows)
    screen.heading("What each mode does")
    counts = Counter(node.status for node in report.nodes)
    screen.table(
        ["status", "nodes", "tangent", "frozen"],
        [[status, count, *MODES[status]] for status, count in counts.most_common()],
    )
    screen.heading("Operators")
    screen.table(["operator", "nodes"], [[op, count] for op, count in report.histogram.items()])
    screen.line()
    if report.refused:
        screen.verdict(False, "every node has a rule, but the model is refused")
        return
    if report.empty:
        screen.verdict(False, f"the map holds no node: {report.empty}")
        return
    if report.ok:
        known = ", as far as can be determined without a run" if report.not_run else ""
        screen.verdict(True, f"every node can be linearised{known}")
        screen.lines(_compiles(report))
        return
    count = len(report.obstacles)
    screen.verdict(False, f"{counted(count, 'unsupported node')}:")
    for node in report.obstacles:
        screen.line(f"  {_operator(node)} (opset {node.opset}) at node {node.name!r}")
        screen.line(f"    why  {node.obstacle}")
        screen.line(f"    fix  {fixes[node.name]}")


def _compiles(report: Report) -> str:
    """Say whether there is a compiled engine, and a file to be had, for this model."""
    if report.compiles:
        return "compiles: yes (onnxlin compile, --engine compiled)"
    answer = "no, " if report.compiles is False else ""
    return f"compiles: {answer}{report.not_compiled_because}"


def _operator(node: NodeReport) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type
