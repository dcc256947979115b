"""``onnxlin audit --each``: a map of every sample, held against its contributions."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnxlin.cli import target
from onnxlin.cli.bar import Bar
from onnxlin.cli.labels import Labels
from onnxlin.cli.over import way
from onnxlin.cli.screen import Cell, Screen, percent
from onnxlin.errors import OptionError
from onnxlin.linearizer import Linearizer

if TYPE_CHECKING:
    from onnxlin.data import Source

FAILED = 4
NOTES = 5
ONE = ("baseline", "exact", "judge", "out")
"""Options about one map."""
SHOWN = {
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "cosine": "cosine",
    "scale": "best multiple (l2)",
    "distance": "distance as it is (l2, relative)",
    "l2": "distance of the best multiple (l2)",
    "signs": "signs that agree",
}


def declare(command: Any) -> None:
    """Add what may be asked about a data set."""
    way.declare(command)
    group = command.add_argument_group("a map for each sample")
    group.add_argument(
        "--each",
        action="store_true",
        help=f"the input is a data set ({way.DATA}), and the map an .npy with a map for each "
        "sample along axis 0; each explains the largest output, or what --class or --labels name",
    )
    group.add_argument("--labels", metavar="FILE", help="of the data: the outputs explained")


def require_fitting(options: Any) -> None:
    """Refuse options of the other kind of audit.

    Raises
    ------
    OptionError
    """
    about = ONE if options.each else (*way.NAMES, "storage_option", "labels")
    given = [f"--{name.replace('_', '-')}" for name in about if getattr(options, name)]
    if given:
        what = "one map; leave it out, or --each" if options.each else "a data set: give --each"
        raise OptionError(f"{', '.join(given)} is about {what}.")


def run(options: Any, screen: Screen) -> int:
    """Audit the maps of a data set and return the exit code."""
    from onnxlin import data

    start = time.perf_counter()
    lin = target.linearizer(options)
    source = target.source(options, lin, [options.input], options.labels)
    rows = _rows(options, lin, source)
    with Bar("samples") as bar:
        found = data.audit(lin, source, options.map, rows, progress=bar, **way.read(options))
    document = {
        "model": options.model,
        "data": options.input,
        "data_notes": list(source.notes),
        "map": options.map,
        "mode": options.mode,
        "rows": rows if isinstance(rows, str) else list(rows),
        "samples": found.count,
        "failed": found.failed,
        "residual": found.residual,
        "agreement": {name: asdict(spread) for name, spread in found.agreement.items()},
        "adds_up": found.adds_up,
        "errors": [{"sample": i, "error": text} for i, text in found.errors],
    }
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    _show(document, screen)
    return FAILED if found.failed else 0


def _rows(options: Any, lin: Linearizer, source: Source) -> str | tuple[int]:
    if options.row is None:
        return "predicted" if options.labels is None else "labels"
    if options.labels is not None:
        raise OptionError("--class and --labels exclude each other: one output, or each its own.")
    outputs = dict(next(iter(lin.map(source[0:1].stacks, rows=[]))).outputs)
    size = sum(value.size for value in outputs.values())
    return (Labels.of(lin, outputs).find(options.row, size),)


def _show(document: dict[str, Any], screen: Screen) -> None:
    screen.line(f"model   {document['model']}, {document['mode']} mode")
    screen.line(f"data    {document['data']}, {document['samples']:,} samples")
    for note in document["data_notes"][:NOTES]:
        screen.line(f"        {note}")
    screen.line(f"maps    {document['map']}")
    screen.heading("The maps against the exact contributions W x")
    rows: list[list[Cell]] = [
        [SHOWN[name], each["mean"], each["lowest"], each["highest"], each["count"]]
        for name, each in document["agreement"].items()
    ]
    screen.table(["", "mean", "lowest", "highest", "samples"], rows)
    screen.heading("Do they add up?")
    good = document["samples"] - document["failed"]
    screen.table(
        ["to", "samples", "share"],
        [[what, n, percent(n / good if good else None)] for what, n in document["adds_up"].items()],
    )
    screen.line()
    way.tell(document, screen, "a --store has them all")
    screen.line(f"{document['seconds']:.2f} s")
