"""``onnxlin verify``: the laws of `onnxlin.testing`, held against a model without pytest."""

from __future__ import annotations

from typing import Any

from onnxlin.cli import arguments, boxed, target
from onnxlin.cli.bar import Bar
from onnxlin.cli.screen import Screen
from onnxlin.cli.verify.failures import failures
from onnxlin.cli.verify.text import check, document, show
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.section import MODES
from onnxlin.testing.draw.draw import KINDS, Drawn, instances
from onnxlin.testing.laws.laws import LAWS, named
from onnxlin.testing.laws.subject import Subject, spread_rows
from onnxlin.testing.run.examine import FAILED, PASSED, SKIPPED, Finding, examine

PAST_BOUND = 4
TIME = 600
"""Seconds in a sandbox, unless others are asked for."""


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Hold the laws of F(x) = W x + b against a model, at an input or at random ones."
    command = arguments.command(commands, "verify", about)
    command.add_argument("model", help="an .onnx file")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--input", help="a picture, .npy, .npz or .csv")
    where.add_argument(
        "--random",
        type=arguments.count,
        default=5,
        metavar="N",
        help=f"N random inputs (5), of these kinds in turn: {', '.join(KINDS)}",
    )
    command.add_argument("--seed", type=int, default=0, help="of the random inputs (0)")
    laws = ", ".join(law.name for law in LAWS)
    command.add_argument("--laws", metavar="LAW[,LAW]", help=f"some of {laws} (all)")
    command.add_argument(
        "--seconds",
        type=arguments.count,
        default=120,
        metavar="S",
        help="begin no law after so long (120); what was skipped is said",
    )
    files = command.add_argument_group("when a law fails")
    files.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where the reproducer goes: a folder, or the start of a name (MODEL.failure)",
    )
    files.add_argument("--no-files", action="store_true", help="write no reproducer")
    files.add_argument("--no-shrink", action="store_true", help="leave the failing x as it is")
    arguments.ends(command)
    arguments.how(command, ("both", *MODES), threads=True)
    arguments.pictures(command)
    boxed.declare(command, TIME)


def run(options: Any, screen: Screen) -> int:
    """Verify a model at one input or several and return the exit code."""
    shown = boxed.answered(options, f"{__name__}:answer", TIME, screen)
    screen.document(shown)
    show(shown, screen)
    return PAST_BOUND if shown["failures"] else 0


def answer(options: Any) -> dict[str, Any]:
    """Verify a model, here or in a sandbox, and return all that there is to say."""
    laws = named(options.laws.split(",") if options.laws else None)
    modes = MODES if options.mode == "both" else (options.mode,)
    subject = _subject(options)
    points = _points(options, subject)
    total, findings = len(points) * len(modes) * len(laws), list[Finding]()
    checks: dict[str, dict[str, Any]] = {}
    with Bar("laws held") as bar:
        for found in examine(subject, points, laws, modes, seconds=options.seconds):
            findings.append(found)
            bar(len(findings), total, f"{found.drawn.name}, {found.mode}, {found.law.name}")
            # Here, where the maps of this x are still at hand.
            if found.verdict in (PASSED, FAILED) and found.drawn.name not in checks:
                checks[found.drawn.name] = check(subject, found)
    _require_any(findings)
    failed = failures(findings, subject, options)
    return document(options, findings, list(checks.values()), failed)


def _subject(options: Any) -> Subject:
    def rows(y: Array, columns: int) -> Any:
        if options.rows is None:
            return spread_rows(y.size, columns)
        return target.choose_rows(options.rows, (), y, columns).rows

    return Subject(
        options.model,
        inputs=options.inputs,
        outputs=options.outputs,
        rounding=options.rounding,
        gates=dict(options.gates),
        memory=options.memory,
        providers=options.providers,
        rows=rows,
        engine=options.engine,
        dtype=options.dtype,
    )


def _points(options: Any, subject: Subject) -> list[Drawn]:
    """Read the input, or draw some; what was given must have a map."""
    if options.input is None:
        return list(instances(subject, options.random, options.seed))
    feeds = subject.feeds(target.given(options, subject.linearizer()).feeds)
    subject.map(feeds)
    return [Drawn(options.input, "given", feeds)]


def _require_any(findings: list[Finding]) -> None:
    """Raise where no law had anything to say of any x: a run that says nothing must not pass."""
    if any(found.verdict in (PASSED, FAILED) for found in findings):
        return
    reason = next((f.reason for f in findings if f.verdict != SKIPPED), "no time was left")
    raise OptionError(f"No law could be held at any of these x: {reason} Give another --input.")
