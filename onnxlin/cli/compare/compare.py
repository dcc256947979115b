"""``onnxlin compare``: two models at one input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.cli import arguments, target
from onnxlin.cli.compare import many
from onnxlin.cli.labels import Labels
from onnxlin.cli.screen import Cell, Screen, percent
from onnxlin.linearizer import columns
from onnxlin.readings.compare import comparison
from onnxlin.readings.compare.compare import compare
from onnxlin.readings.compare.comparison import Comparison
from onnxlin.readings.compare.rows import RowDifference
from onnxlin.texts import counted


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = (
        "Compare two models at one input: y, W, b, ledger, and the first node that departs. Over a "
        "data set: which decisions changed, and which nodes changed them."
    )
    command = arguments.command(commands, "compare", about, instances=True)
    command.add_argument("model", metavar="A", help="an .onnx file")
    command.add_argument("other", metavar="B", help="an .onnx file that takes the same input")
    command.add_argument(
        "input",
        nargs="+",
        help="a picture, .npy, .npz or .csv, scaled as A says; or a data set: a folder of "
        "pictures, several pictures, zarr, .parquet, or with --each a stack or a table",
    )
    command.add_argument(
        "--tol",
        type=arguments.fraction,
        help="accept differences of this fraction of |W|, and of |W| |x| + |biases| in y and b "
        "(only what rounding explains); over a data set, of the decisions (none)",
    )
    command.add_argument(
        "--top", type=arguments.count, default=5, help="length of the lists in print (5)"
    )
    arguments.ends(command)
    arguments.how(command)
    many.declare(command)
    arguments.classes(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Compare the models and return the exit code."""
    each = many.is_asked(options)
    many.require_fitting(options, each=each)
    a, b = target.linearizer(options), target.linearizer(_of_b(options))
    if each:
        return many.run(options, a, b, screen)
    options.input = options.input[0]
    given = target.given(options, a)
    feeds = given.feeds
    values = a.run(dict(feeds))
    labels = Labels.of(a, values)
    y = np.concatenate([value.ravel() for value in values.values()])
    rows = target.choose_rows(options.rows, (), y, columns(a, feeds))
    c = compare(
        a,
        b,
        dict(feeds),
        rows=rows.rows,
        engine=options.engine,
        dtype=options.dtype or np.float64,
        tol=options.tol,
        top=options.top,
    )
    paths = {"a": options.model, "b": options.other, "input": options.input}
    notes = list(given.notes)
    screen.document({**paths, "input_notes": notes, "rows_note": rows.note, **c.as_dict()})
    screen.line(f"A {options.model}")
    screen.line(f"B {options.other}")
    screen.line(f"at {options.input}, W judged in {c.judged}")
    for note in notes:
        screen.line(f"note: {note}")
    _outputs(c, labels, screen)
    _rows(c, labels, screen, options.top)
    _features(c, labels, screen)
    _ledger(c, labels, screen, options.top)
    _nodes(c, screen, options.top)
    for note in (*c.notes, rows.note):
        if note:
            screen.line(note)
    screen.line()
    screen.verdict(c.same, comparison.verdict(c))
    return 0 if c.same else many.APART


def _of_b(options: Any) -> Any:
    """Give options that name the other model."""
    changed = type(options)(**vars(options))
    changed.model = options.other
    return changed


def _name(row: RowDifference, labels: Labels) -> str:
    return labels[int(row.name)] if row.name.isdecimal() else row.name


def _worst(c: Comparison) -> list[RowDifference]:
    return sorted(c.rows, key=comparison.excess, reverse=True)


def _outputs(c: Comparison, labels: Labels, screen: Screen) -> None:
    screen.heading("Outputs")
    rows: list[list[Cell]] = []
    for one in c.outputs:
        if one.strongest is None:
            strongest = f"{one.changed} of {one.of} changed" if one.of else "-"
        elif labels.vector:
            first, second = (labels[i] for i in one.strongest)
            strongest = first if first == second else f"{first} in A, {second} in B"
        else:
            strongest = " and ".join(str(i) for i in dict.fromkeys(one.strongest))
        name = one.a if one.a == one.b else f"{one.a} / {one.b}"
        rows.append([name, one.largest, one.relative, strongest])
    screen.table(["output", "largest difference", "of the largest", "strongest"], rows)


def _rows(c: Comparison, labels: Labels, screen: Screen, top: int) -> None:
    screen.heading("Rows: y, W and b, furthest past its bound first")
    columns = ["row", "y of A", "y of B", "bound", "|W_A - W_B|", "of |W_A|", "of bound"]
    columns += ["cosine", "|b_A - b_B|", "bound of b", "verdict"]
    screen.table(
        columns,
        [
            [
                _name(row, labels),
                *row.y,
                f"{row.y_allowed:.2e}",
                row.W_gap,
                percent(row.W_relative),
                f"{row.W_excess:.3g}",
                row.cosine,
                row.b_gap,
                f"{row.b_allowed:.2e}",
                "same" if row.same else "APART",
            ]
            for row in _worst(c)[:top]
        ],
    )
    if len(c.rows) > top:
        screen.line(f"and {counted(len(c.rows) - top, 'more row')}")


def _features(c: Comparison, labels: Labels, screen: Screen) -> None:
    row = next((row for row in _worst(c) if row.features), None)
    if row is None:
        return
    screen.heading(f"Row {_name(row, labels)}: where W differs most")
    screen.table(
        ["feature", "x", "W of A", "W of B", "W x of A", "W x of B"],
        [
            [f"{f.tensor}[{','.join(map(str, f.index))}]", f.x, *f.weights, *f.contributions]
            for f in row.features
        ],
    )


def _ledger(c: Comparison, labels: Labels, screen: Screen, top: int) -> None:
    if not c.rows or not c.ledger:
        return
    row = _worst(c)[0]
    i = row.position
    order = sorted(c.ledger, key=lambda one: -abs(one.shares[0][i] - one.shares[1][i]))
    screen.heading(f"Row {_name(row, labels)}: nodes whose share of b differs most")
    screen.table(
        ["node of A", "node of B", "share in A", "share in B"],
        [
            [one.a or "-", one.b or "-", float(one.shares[0][i]), float(one.shares[1][i])]
            for one in order[:top]
        ],
    )


def _nodes(c: Comparison, screen: Screen, top: int) -> None:
    screen.heading("Node by node")
    screen.line(comparison.matched(c))
    for which, names in (("A", c.names.only_a), ("B", c.names.only_b)) if c.names else ():
        if names:
            screen.line(f"  only in {which}: {_listed(names, 2 * top)}")
    departing = [one for one in c.tensors if one.state == "introduced"]
    screen.table(
        ["tensor", "state", "largest difference", "of the largest", "fed the same", "bound"],
        [
            [one.a, one.state, one.largest, one.relative, one.own, f"{one.allowed:.2e}"]
            for one in c.tensors
            if one in departing[:top] or one is c.tensors[-1]
        ],
    )
    screen.line(f"first node that departs: {c.departure or 'none'}")
    if c.flips:
        screen.line(comparison.flips(c))


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
