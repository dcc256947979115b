"""``onnxlin compare A B DATA``: which decisions of a data set changed, and what changed them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from onnxlin.cli import target
from onnxlin.cli.bar import Bar
from onnxlin.cli.labels import Labels
from onnxlin.cli.over import way
from onnxlin.cli.over.labels import labels_given
from onnxlin.cli.screen import Cell, Screen, percent
from onnxlin.errors import OptionError
from onnxlin.linearizer import Linearizer
from onnxlin.operators.quantisation import CODING
from onnxlin.readings.compare.compare import require_tolerance
from onnxlin.texts import counted

APART = 5
NOTES = 5
ONE = ("rows", "dtype")
"""Options about one input."""
SETS = (".parquet", ".zarr")


def declare(command: argparse.ArgumentParser) -> None:
    """Add what may be asked about a data set."""
    way.declare(command, "at one input or here")
    group = command.add_argument_group("over a data set, decision by decision")
    group.add_argument("--each", action="store_true", help=f"the input is a data set ({way.DATA})")
    group.add_argument(
        "--labels",
        metavar="FILE",
        help='.npy of class indices, or text with a label a line or "file,label" (those of the '
        "data)",
    )


def is_asked(options: Any) -> bool:
    """Whether the input is a data set, as --each says or its kind."""
    first = options.input[0]
    kind = "://" in first or Path(first).is_dir() or Path(first).suffix.lower() in SETS
    return options.each or kind or len(options.input) > 1


def require_fitting(options: Any, *, each: bool) -> None:
    """Refuse options of the other kind of comparison.

    Raises
    ------
    OptionError
    """
    about = ONE if each else (*(n for n in way.NAMES if n != "threads"), "storage_option", "labels")
    given = [f"--{name.replace('_', '-')}" for name in about if getattr(options, name)]
    if not each and dict(options.limits).get("") is not None:
        given.append("--limit N")
    if given:
        what = "one input; leave it out" if each else "a data set: give one, or --each"
        raise OptionError(f"{', '.join(given)} is about {what}.")


def run(options: Any, a: Linearizer, b: Linearizer, screen: Screen) -> int:
    """Compare the decisions of two models and return the exit code."""
    from onnxlin import data

    start = time.perf_counter()
    require_tolerance(options.tol)
    source = target.source(options, a, options.input)
    labels = labels_given(options.labels, options.input[0], a, source)
    with Bar("samples") as bar:
        found = data.compare(a, b, source, labels, progress=bar, **way.read(options))
    allowed = options.tol or 0.0
    document = {
        "a": options.model,
        "b": options.other,
        "data": list(options.input),
        "data_notes": list(source.notes),
        "mode": a.mode,
        "same": found.fraction <= allowed,
        "allowed": allowed,
        **found.as_dict(),
    }
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    outputs = dict(next(iter(a.map(source[0:1].stacks, rows=[]))).outputs)
    _show(document, Labels.of(a, outputs), screen, options.top)
    return 0 if document["same"] else APART


def _show(document: dict[str, Any], labels: Labels, screen: Screen, top: int) -> None:
    changed, count = document["changed"], document["samples"]
    allowed = f", {percent(document['allowed'])} allowed" if document["allowed"] else ""
    text = (
        f"{changed:,} of {counted(count, 'decision')} changed ({percent(changed / count)}{allowed})"
    )
    screen.verdict(document["same"], text)
    screen.line(f"A       {document['a']}")
    screen.line(f"B       {document['b']}")
    more = f" and {len(document['data']) - 1} more" if len(document["data"]) > 1 else ""
    screen.line(f"data    {document['data'][0]}{more}, {counted(count, 'sample')}")
    for note in document["data_notes"][:NOTES]:
        screen.line(f"        {note}")
    for note in document["notes"]:
        screen.line(f"note    {note}")
    if document["accuracy"] is not None:
        a, b = document["accuracy"].values()
        screen.line(
            f"right   {a:.2%} in A, {b:.2%} in B: {document['mended']:,} mended, "
            f"{document['spoilt']:,} spoilt"
        )
    if changed:
        _decisions(document, labels, screen, top)
        _shares(document, screen, top)
    screen.line()
    screen.line(f"{document['seconds']:.2f} s")


def _decisions(document: dict[str, Any], labels: Labels, screen: Screen, top: int) -> None:
    screen.heading("Decisions that changed: margin of A's class over B's, the largest first")
    order = sorted(document["decisions"], key=lambda one: -one["margins"][0])
    rows: list[list[Cell]] = []
    for one in order[:top]:
        name = one["name"] or str(one["sample"])
        label = [] if document["accuracy"] is None else [labels[one["label"]]]
        a, b = (labels[i] for i in one["classes"])
        rows.append([name, *label, a, b, *one["margins"], one["first"] or "-"])
    label = [] if document["accuracy"] is None else ["label"]
    columns = ["sample", *label, "A says", "B says", "in A", "in B", "moved most at"]
    screen.table(columns, rows)
    if len(order) > top:
        screen.line(f"  and {len(order) - top:,} more; --json has them")
    margins = document["margins"]
    screen.line(
        f"margins in A: {margins['changed']['median']:.3g} in the middle of those that changed, "
        f"{margins['changed']['largest']:.3g} at most; {margins['all']['median']:.3g} in the "
        "middle of all samples, over the second class"
    )
    if document["ties"]:
        screen.line(
            f"ties: at {document['ties']:,} of them B has one number for both classes, and the "
            "first of these counts"
        )
    if document["pinned"]:
        screen.line(
            f"pinned: at {document['pinned']:,} of them an output lies at the end of the range of "
            "its codes; what is beyond is cut off, and its row of W is 0"
        )


def _shares(document: dict[str, Any], screen: Screen, top: int) -> None:
    screen.heading("What moved these margins, in the mean: nodes that make each tensor, most first")
    order = sorted(document["shares"], key=lambda one: -abs(one["introduced"] + one["bent"]))
    order = [one for one in order if one["introduced"] or one["bent"]]
    rows: list[list[Cell]] = [
        [
            one["tensor"],
            _nodes(one["nodes_a"]),
            _nodes(one["nodes_b"]),
            one["introduced"],
            one["bent"],
            percent(one["share"]),
            one["first"],
        ]
        for one in order[:top]
    ]
    columns = ["tensor", "by A's", "by B's", "introduced", "bent", "of the change", "most at"]
    screen.table(columns, rows)
    if len(order) > top:
        screen.line(f"  and {len(order) - top:,} more; --top shows them")
    screen.line("introduced: what B's nodes make otherwise of the same numbers, through A's map to")
    screen.line(
        "the margin. bent: what A's map does not pass on of earlier differences: units across"
    )
    screen.line(f"a kink, curves. In all {percent(document['bent'])} of the change is bent.")
    screen.line(f"The shares add up to the change within {document['rest']:.0e} of their sizes.")


def _nodes(listed: Any) -> str:
    """Name the last node of those that do more than to code numbers; say how many there are."""
    if not listed:
        return "-"
    kinds = [node.split()[0] for node in listed]
    own = [kind for kind in kinds if kind not in CODING] or kinds
    more = f" +{len(kinds) - 1}" if len(kinds) > 1 else ""
    return own[-1] + more
