"""``onnxlin evaluate``: over a data set, what W x alone and b alone decide."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxlin import plot
from onnxlin.cli import arguments, target
from onnxlin.cli.bar import Bar
from onnxlin.cli.over import way
from onnxlin.cli.over.labels import labels_given
from onnxlin.cli.screen import Screen, percent
from onnxlin.files import folder_of
from onnxlin.linearizer import Linearizer
from onnxlin.readings.data.overall import Overall

if TYPE_CHECKING:
    from onnxlin.data import Source

NOTES = 3
SHOWN = {"all": "F(x) = W x + b", "W x": "W x alone", "b": "b alone"}
LOWERS = "share of instances where it lowers the margin"


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = (
        "Over a data set: accuracy of F(x), of W x and of b alone, and what the margins are made "
        "of."
    )
    command = arguments.command(commands, "evaluate", about, instances=True)
    command.add_argument("model", help="an .onnx file")
    way.data(command)
    command.add_argument(
        "--labels",
        metavar="FILE",
        help='.npy of class indices, or text with a label a line or "file,label" (by default those '
        "of the data, or the folders that pictures lie in; else the model's own answers count)",
    )
    command.add_argument("--top", type=arguments.count, default=12, help="length of the lists (12)")
    arguments.ends(command)
    group = command.add_argument_group("how")
    arguments.mode(group)
    arguments.engine(group)
    group.add_argument("--memory", help='what may be used, such as "4GiB" (half of what is free)')
    files = command.add_argument_group("files")
    files.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where to write <model>.evaluation.png (here); a prefix replaces the whole name",
    )
    files.add_argument("--no-files", action="store_true", help="print only")
    way.declare(command)
    arguments.classes(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Evaluate a data set and return the exit code."""
    from onnxlin import data

    start = time.perf_counter()
    lin = target.linearizer(options)
    source = target.source(options, lin, options.data)
    labels = labels_given(options.labels, options.data[0], lin, source)
    with Bar("instances") as bar:
        found = data.evaluate(
            lin, source, labels, engine=options.engine, progress=bar, **way.read(options)
        )
    document = _document(options, lin, source, found)
    if not options.no_files:
        document["files"] = [_draw(found, document, options)]
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    _show(document, screen, options.top)
    return 0


def _document(options: Any, lin: Linearizer, source: Source, found: Overall) -> dict[str, Any]:
    notes = list(lin.notes)
    if found.are_distributions:
        notes.append("the outputs are probabilities; --outputs logits ends before the softmax")
    return {
        "model": options.model,
        "nodes": len(lin.section.nodes),
        "data": list(options.data),
        "data_notes": list(source.notes),
        "instances": found.count,
        "classes": found.classes,
        "labels": found.is_labelled,
        "mode": lin.mode,
        "notes": notes,
        "residual": found.residual,
        "accuracy": found.accuracy,
        "margins": [asdict(margin) for margin in found.margins],
        "files": [],
    }


def _draw(found: Overall, document: dict[str, Any], options: Any) -> str:
    path = _path(options)
    what = f"{Path(options.model).name} on {found.count:,} instances of {_named(options.data)}"
    folder_of(path, "Give another --out, or --no-files.")
    plot.evaluation(
        document["accuracy"],
        found.histogram,
        found.owned,
        measure=_measure(document),
        title=f"{what}: is W x enough?",
        path=path,
    )
    return str(path)


def _path(options: Any) -> Path:
    stem = f"{Path(options.model).stem}.evaluation.png"
    out: str | None = options.out
    if out is None:
        return Path(stem)
    return Path(out) / stem if out.endswith("/") or Path(out).is_dir() else Path(f"{out}.png")


def _named(data: list[str]) -> str:
    more = f" and {len(data) - 1} more" if len(data) > 1 else ""
    return Path(data[0]).name + more


def _measure(document: dict[str, Any]) -> str:
    return "accuracy" if document["labels"] else "agreement with F(x)"


def _show(document: dict[str, Any], screen: Screen, count: int) -> None:
    screen.line(f"model   {document['model']} ({document['nodes']} nodes), {document['mode']} mode")
    screen.line(f"data    {document['instances']:,} instances of {_named(document['data'])}")
    notes = document["data_notes"]
    for note in notes[:NOTES]:
        screen.line(f"        {note}")
    if len(notes) > NOTES:
        screen.line(f"        and {len(notes) - NOTES} more such notes; --json has them")
    for note in document["notes"]:
        screen.line(f"note    {note}")
    measure = _measure(document)
    named = measure[0].upper() + measure[1:]
    screen.heading(f"Is W x enough? {named}, {document['classes']} classes")
    rows = [[SHOWN[part], percent(share)] for part, share in document["accuracy"].items()]
    screen.table(["part", measure], rows)
    whole, *parts = document["margins"]
    right = "the right class" if document["labels"] else "the class that F(x) says"
    screen.heading(f"What the margin of {right} over its strongest rival is made of")
    weight, *nodes = parts
    strongest = sorted(nodes, key=lambda part: -abs(part["mean"]))[:count]
    kept = [whole, weight, *(part for part in nodes if part in strongest)]
    screen.table(
        ["part", "mean", "of the mean", "lowest", "highest", LOWERS],
        [
            [
                SHOWN["all"] if part["part"] == "all" else part["part"],
                part["mean"],
                percent(part["share"]),
                part["lowest"],
                part["highest"],
                percent(part["against"]),
            ]
            for part in kept
        ],
    )
    if len(nodes) > len(strongest):
        screen.line(f"  {len(nodes) - len(strongest)} smaller ones are left out; --top shows more")
    screen.line()
    screen.verdict(
        True,
        f"W x + b equals F(x) within its bound at every instance; largest residual "
        f"{document['residual']:.2e}",
    )
    for path in document["files"]:
        screen.line(f"wrote {path}")
    screen.line(f"{document['seconds']:.2f} s")
