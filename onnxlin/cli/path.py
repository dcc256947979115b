"""``onnxlin path``: the model along the segment between two inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin.cli import arguments, target
from onnxlin.cli.labels import Labels
from onnxlin.cli.screen import Progress, Screen
from onnxlin.errors import RowsError
from onnxlin.graph import Array
from onnxlin.linearizer import columns
from onnxlin.readings.path import PIECES, Path, walk
from onnxlin.texts import counted

SHOWN = 20


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Walk from one input to another: every affine piece, class change and exact gradient."
    command = arguments.command(commands, "path", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("x0", help="a picture, .npy, .npz or .csv")
    command.add_argument("x1", help="another one")
    command.add_argument(
        "--class",
        dest="row",
        metavar="N|NAME",
        help="output whose Integrated Gradients are wanted (the largest at X1)",
    )
    command.add_argument(
        "--pieces",
        type=arguments.count,
        default=PIECES,
        metavar="N",
        help=f"give up where there are more ({PIECES})",
    )
    command.add_argument("--out", metavar="PNG", help="where to draw (<x0>_<x1>.png)")
    command.add_argument("--no-files", action="store_true", help="print only")
    arguments.ends(command)
    arguments.how(command, threads=True)
    arguments.classes(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Walk from one input to another and return the exit code."""
    lin = target.linearizer(options)
    begin = target.read(options, lin, options.x0)
    end = target.read(options, lin, options.x1, begin)
    first, last = begin.feeds, end.feeds
    outputs = lin.run(dict(last))
    y = np.concatenate([value.ravel() for value in outputs.values()])
    labels = Labels.of(lin, outputs)
    rows = target.choose_rows(options.rows, (), y, columns(lin, first))
    chosen = np.arange(len(y)) if rows.rows is None else rows.rows
    names = [labels[int(i)] for i in chosen] if chosen.ndim == 1 else None
    names = names or [f"combination {i}" for i in range(len(chosen))]
    with Progress("thousandths of the way") as progress:
        path = walk(
            lin,
            dict(first),
            dict(last),
            rows=rows.rows,
            integrate=_row(options, labels, chosen, len(y)),
            pieces=options.pieces,
            progress=progress,
        )
    document = {
        "model": options.model,
        "x0": options.x0,
        "x1": options.x1,
        "input_notes": list(dict.fromkeys((*begin.notes, *end.notes))),
        "rows_note": rows.note,
        **_document(path, names),
        "file": None,
    }
    if not options.no_files:
        document["file"] = _draw(path, names, options)
    screen.document(document)
    _show(document, screen)
    return 0


def _row(options: Any, labels: Labels, chosen: Array, size: int) -> int | str:
    """Position of the row to integrate: the class asked for, else the strongest at x1."""
    if options.row is None:
        return "top"
    index = labels.find(options.row, size)
    found = np.flatnonzero(chosen == index) if chosen.ndim == 1 else np.zeros(0)
    if not found.size:
        raise RowsError(f"--class {options.row}: that output is not among --rows.")
    return int(found[0])


def _document(path: Path, names: list[str]) -> dict[str, Any]:
    found = path.integrated
    return {
        "pieces": len(path),
        "breakpoints": path.t[1:-1].tolist(),
        "units": [None if unit is None else str(unit) for unit in path.units],
        "shortest": float(np.diff(path.t).min()),
        "rows": names,
        "F": np.concatenate([path.left, path.right[-1:]]).tolist(),
        "jumps": path.jumps.tolist(),
        "F_at_ends": path.at_ends.tolist(),
        "end_units": [None if unit is None else str(unit) for unit in path.end_units],
        "changes": [
            {"t": c.t, "before": names[c.before], "after": names[c.after]} for c in path.changes
        ],
        "integrated": None
        if found is None
        else {
            "row": names[found.row],
            "difference": found.total,
            "sum": float(found.attributions.sum()),
            "jumps": found.jumps,
            "gap": found.gap,
            "bound": found.bound,
            "sampled_error": {str(n): found.error(n) for n in found.sampled},
            "attributions": found.attributions.tolist(),
        },
    }


def _draw(path: Path, names: list[str], options: Any) -> str:
    from onnxlin.plot import line_profile

    stems = [os.path.splitext(os.path.basename(name))[0] for name in (options.x0, options.x1)]
    out = options.out or f"{stems[0]}_{stems[1]}.png"
    line_profile(path, names, title=f"{stems[0]} to {stems[1]}", path=out)
    return out


def _show(document: Mapping[str, Any], screen: Screen) -> None:
    screen.line(
        f"{document['model']}: {counted(document['pieces'], 'affine piece')} from "
        f"{document['x0']} to {document['x1']}, the shortest {document['shortest']:.2g} of the way"
    )
    for note in document["input_notes"]:
        screen.line(f"note: {note}")
    screen.heading("Where another output becomes the largest")
    rows = [[c["t"], c["before"], c["after"]] for c in document["changes"]]
    if rows:
        screen.table(["t", "before", "after"], rows)
    else:
        screen.line("nowhere")
    screen.heading(f"First breakpoints (of {len(document['breakpoints']):,})")
    pairs = zip(document["breakpoints"], document["units"], strict=True)
    screen.table(["t", "what changes"], [list(pair) for pair in pairs][:SHOWN])
    for name, unit in zip(("x0", "x1"), document["end_units"], strict=True):
        if unit is not None:
            screen.line(f"{name} itself lies on a jump: {unit}")
    found = document["integrated"]
    if found is not None:
        screen.heading(f"Integrated Gradients of {found['row']}, exact")
        screen.line(
            f"sum {found['sum']:.9g}, jumps {found['jumps']:.9g}, F(x1) - F(x0) = "
            f"{found['difference']:.9g}, apart by {found['gap']:.1e} "
            f"(rounding allows {found['bound']:.1e})"
        )
        screen.table(
            ["sampled gradients", "relative error (l1)"],
            [[int(n), f"{error:.2%}"] for n, error in found["sampled_error"].items()],
        )
    if document["rows_note"]:
        screen.line(document["rows_note"])
    if document["file"]:
        screen.line()
        screen.line(f"wrote {document['file']}")
