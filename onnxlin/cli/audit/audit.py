"""``onnxlin audit``: how far an attribution from elsewhere is from the exact contributions."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onnxlin.affine_map import Verdict
from onnxlin.cli import arguments, target
from onnxlin.cli.audit import many, text
from onnxlin.cli.explain.baseline import start
from onnxlin.cli.labels import Labels
from onnxlin.cli.screen import Progress, Screen
from onnxlin.errors import InputError, OptionError
from onnxlin.graph import Array
from onnxlin.graph.regular import require_regular
from onnxlin.inputs import Given
from onnxlin.inputs.arrays import read_archive, read_npy
from onnxlin.linearizer import Linearizer
from onnxlin.readings.attributions.baselines import baselines
from onnxlin.readings.attributions.gradients import SAMPLES, Attribution, Sum
from onnxlin.readings.audit.audit import Audit, audit
from onnxlin.readings.judging.curves import STEPS
from onnxlin.readings.judging.judge import BETTER, Judgement, judge
from onnxlin.readings.question.question import Question, Reference
from onnxlin.readings.row import report

PAST_BOUND, UNDECIDED = 4, 6
NAMED = ("zero", "mean", "blur")
THIS = "this map"


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = (
        "Hold an attribution from elsewhere against the exact contributions: how far apart, "
        "whether it is complete, which biases it leaves out. An incomplete map is no error: exit 0."
    )
    command = arguments.command(commands, "audit", about, instances=True)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("input", help="the x explained: a picture, .npy, .npz or .csv")
    command.add_argument(
        "map",
        help=".npy of the input's shape, without axes of length 1, flat, or (height, width) of a "
        "picture; .npz with the input's names",
    )
    command.add_argument(
        "--class", dest="row", metavar="N|NAME", help="the output explained (the largest)"
    )
    command.add_argument(
        "--baseline",
        metavar="zero|mean|blur|FILE",
        help="the x0 that the map is relative to: W (x - x0) is held against it, too (zero)",
    )
    command.add_argument("--top", type=arguments.count, default=5, help="length of the lists (5)")
    command.add_argument(
        "--samples",
        type=arguments.count,
        default=SAMPLES,
        help=f"gradients of SmoothGrad and of sampled Integrated Gradients ({SAMPLES})",
    )
    command.add_argument(
        "--exact",
        action="store_true",
        help="Integrated Gradients over every piece of the way, however many (small nets only)",
    )
    command.add_argument("--seed", type=int, default=0, help="of all that is drawn (0)")
    _judging(command)
    arguments.ends(command)
    group = command.add_argument_group("how")
    arguments.mode(group)
    group.add_argument("--memory", help='what may be used, such as "4GiB" (half of what is free)')
    many.declare(command)
    arguments.classes(command)
    arguments.sample(command)
    arguments.pictures(command)


def _judging(command: Any) -> None:
    group = command.add_argument_group("judging")
    group.add_argument(
        "--judge",
        action="store_true",
        help="judge the map and the known methods: deletion, insertion, flipping, sensitivity-n, "
        "infidelity",
    )
    group.add_argument(
        "--steps", type=arguments.count, default=STEPS, help=f"of the curves ({STEPS})"
    )
    group.add_argument(
        "--out", metavar="PNG", help="where to draw the curves (<map>.judged.png); with --judge"
    )
    group.add_argument("--no-files", action="store_true", help="print only")


def run(options: Any, screen: Screen) -> int:
    """Audit one map, or those of a data set, and return the exit code."""
    many.require_fitting(options)
    if options.each:
        return many.run(options, screen)
    start = time.perf_counter()
    lin = target.linearizer(options)
    given = target.given(options, lin)
    outputs = lin.run(dict(given.feeds))
    labels = Labels.of(lin, outputs)
    size = sum(value.size for value in outputs.values())
    row = None if options.row is None else labels.find(options.row, size)
    # From hidden tensors on there is no picture.
    picture = given.geometry if lin.section.inputs == (given.tensor,) else None
    q = Question(lin, dict(given.feeds), row, geometry=picture)
    document = _head(options, q, labels, given)
    if document["residual"]["verdict"] == Verdict.FAIL:
        # A map that is not the model judges nothing.
        screen.document(document)
        text.show_head(document, screen)
        return PAST_BOUND
    x0 = _baseline(options, lin, given)
    with Progress("patches of occlusion") as progress:
        methods = baselines(
            q,
            baseline="zero" if x0 is None else x0,
            samples=options.samples,
            exact=options.exact or None,
            seed=options.seed,
            progress=progress,
        )
    found = audit(q, read_given(options.map), baseline=x0, methods=methods)
    document |= _document(found, options)
    if options.judge:
        document |= _judge(q, found, x0, options)
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    text.show(document, screen)
    return 0 if document["residual"]["pass"] else UNDECIDED


def read_given(path: str) -> Array | dict[str, Array]:
    """Read the map."""
    file = Path(path)
    require_regular(file, "map", InputError)
    if not file.is_file():
        raise InputError(f"No such map: {path!r}.")
    if file.suffix.lower() == ".npz":
        found = read_archive(file)
        return next(iter(found.values())) if len(found) == 1 else found
    if file.suffix.lower() != ".npy":
        raise InputError(f"{path!r} is no .npy or .npz; a map is an array of numbers.")
    return read_npy(file)


def _baseline(options: Any, lin: Linearizer, given: Given) -> Reference | None:
    if options.baseline is None or options.baseline in NAMED:
        return options.baseline
    return start(lin.section.inputs, lin, given, options)[0]


def _head(options: Any, q: Question, labels: Labels, given: Given) -> dict[str, Any]:
    index = q.m.rows.index
    assert index is not None
    return {
        "model": options.model,
        "input": options.input,
        "input_notes": list(given.notes),
        "map": options.map,
        "output": int(index[0]),
        "label": labels[int(index[0])],
        "mode": options.mode,
        "F": q.y,
        "Wx": float(q.m.Wx[0]),
        "b": float(q.m.b[0]),
        "residual": report.rows(q.m, labels)["residual"],
    }


def _document(found: Audit, options: Any) -> dict[str, Any]:
    gap = found.gap
    return {
        "baseline": options.baseline or found.baseline,
        "assumed": found.foreign.assumed,
        "compared": {"count": len(found.foreign.values), "what": found.foreign.features.what},
        "dtype": str(found.foreign.dtype),
        "against": {name: _numbers(each) for name, each in found.exact.items()},
        "complete": list(found.complete),
        "doubtful": list(found.doubtful),
        "rounding_made_here": found.made_here,
        "sum": found.sums[0].found,
        "sums": [_sum(each) for each in found.sums],
        "gap": {
            "value": gap.value,
            "b": gap.b,
            "bound": gap.bound,
            "explained": gap.nodes is not None,
            "how": gap.how,
            "nodes": None if gap.nodes is None else list(gap.nodes),
            "missing": gap.missing,
            "shares": [{"node": n, "value": v} for n, v in gap.shares[: options.top]],
        },
        "nearest": [{"method": near.method, **_numbers(near.agreement)} for near in found.nearest],
        "methods": {name: _asked(each) for name, each in found.methods.items()},
        "judged": None,
        "file": None,
    }


def _numbers(found: Any) -> dict[str, Any]:
    return {**asdict(found), "top": {str(k): share for k, share in found.top.items()}}


def _sum(each: Sum) -> dict[str, Any]:
    return {**asdict(each), "gap": each.gap, "holds": each.holds}


def _asked(each: Attribution) -> dict[str, Any]:
    return {name: value if isinstance(value, int | float | str) else str(value)
            for name, value in each.parameters.items()}  # fmt: skip


def _judge(q: Question, found: Audit, x0: Reference | None, options: Any) -> dict[str, Any]:
    """Judge the map among the known methods, and draw the curves."""
    named: Mapping[str, Any] = {THIS: found.foreign.spread, **found.methods}
    judgement = judge(
        q,
        named,
        baseline="zero" if x0 is None else x0,
        steps=options.steps,
        seed=options.seed,
    )
    file = None if options.no_files else _draw(judgement, options, q)
    return {
        "judged": {
            "better": dict(BETTER),
            "runs": judgement.runs,
            "table": judgement.table,
            "at_once": q.runs.at_once,
            "one_by_one": q.runs.why or None,
        },
        "file": file,
    }


def _draw(judgement: Judgement, options: Any, q: Question) -> str:
    from onnxlin.plot import judged_curves

    out = options.out or f"{Path(options.map).stem}.judged.png"
    if any(Path(out).exists() and os.path.samefile(out, p) for p in (options.input, options.map)):
        raise OptionError(f"{out!r} is an input itself. Give --out another name.")
    names = f"{Path(options.model).name} on {Path(options.input).name}"
    title = f"{names}: {Path(options.map).name} and known methods, output {q.name}"
    judged_curves(judgement, title=title, path=out, first=THIS, what=f"F of output {q.name}")
    return out
