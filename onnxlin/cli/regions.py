"""``onnxlin regions``: how many maps a data set needs, and which."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxlin import plot
from onnxlin.cli import arguments, target
from onnxlin.cli.bar import Bar
from onnxlin.cli.screen import Cell, Screen
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.graph.regular import require_regular
from onnxlin.inputs.arrays import read_npy
from onnxlin.linearizer import Linearizer
from onnxlin.readings import Groups
from onnxlin.readings.data.merging import METRICS

if TYPE_CHECKING:
    from onnxlin.data import Source

FEW = 4  # features that a line of the table has room for


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Group a data set by linear region: how many maps it needs, and which."
    command = arguments.command(commands, "regions", about, instances=True)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("data", help=f'{arguments.DATA} ("labels" apart)')
    command.add_argument("--labels", metavar="FILE", help=".npy of class indices, one a sample")
    command.add_argument(
        "--top", type=arguments.count, default=10, help="length of the tables (10)"
    )
    command.add_argument(
        "--picture", metavar="PNG", help="draw the samples by group, where x has two features"
    )
    merging = command.add_argument_group("merging of neighbours that are alike")
    merging.add_argument(
        "--merge", type=arguments.count, metavar="N", help="until N groups are left"
    )
    merging.add_argument("--tolerance", type=float, help="largest error that a merge may add")
    merging.add_argument("--neighbours", type=arguments.count, default=5, metavar="K", help="(5)")
    merging.add_argument("--metric", choices=METRICS, default=METRICS[0], help=f"({METRICS[0]})")
    merging.add_argument("--refit", action="store_true", help="fit to F, not the mean of the maps")
    arguments.ends(command)
    arguments.how(command)
    arguments.over(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Group a data set and return the exit code."""
    from onnxlin import data

    start = time.perf_counter()
    lin = target.linearizer(options)
    source = target.source(options, lin, [options.data])
    with Bar("samples") as bar:
        found = data.group(
            lin,
            source,
            _labels(options),
            rows=_rows(options, lin, source),
            engine="reverse" if options.engine == "auto" else options.engine,
            dtype=options.dtype,
            progress=bar,
            **arguments.way(options),
        )
    merged = None if options.merge is None else _merge(found, options)
    document = {
        "model": options.model,
        "data": options.data,
        "data_notes": list(source.notes),
        "samples": len(found.x),
        "features": found.x.shape[1],
        "regions": len(found),
        "maps": found.distinct,
        "sizes": found.sizes,
        "scores": _scores(found),
        "groups": found.table(options.top),
        "merged": None if merged is None else _merged(merged, options),
        "files": _draw(found, merged, options),
    }
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    _show(document, screen)
    return 0


def _labels(options: Any) -> Array | None:
    """Read the labels that are given beside the data."""
    if options.labels is None:
        return None
    labels = Path(options.labels)
    require_regular(labels, "file of --labels", InputError)
    if not labels.is_file() or labels.suffix.lower() != ".npy":
        raise InputError(f"--labels {options.labels!r} is no .npy file of class indices.")
    return read_npy(labels)


def _rows(options: Any, lin: Linearizer, source: Source) -> Array | None:
    """Read ``--rows``; how many outputs there are is known from the first sample."""
    if options.rows is None:
        return None
    y = next(iter(lin.map(source[0:1].stacks, engine="reverse"))).y
    return target.choose_rows(options.rows, (), y, 0).rows


def _merge(found: Groups, options: Any) -> Groups:
    return found.merge(
        options.merge,
        tolerance=np.inf if options.tolerance is None else options.tolerance,
        neighbours=options.neighbours,
        metric=options.metric,
        refit=options.refit,
    )


def _merged(merged: Groups, options: Any) -> dict[str, Any]:
    return {
        "groups": len(merged),
        "metric": options.metric,
        "refit": options.refit,
        "neighbours": options.neighbours,
        "error": float(np.sqrt(np.mean(merged.error**2))),
        "scores": _scores(merged),
        "table": merged.table(options.top),
    }


def _draw(found: Groups, merged: Groups | None, options: Any) -> list[str]:
    """Write the picture that is asked for; return its path."""
    if options.picture is None:
        return []
    panels = [_panel(f"{len(found):,} regions", found)]
    if merged is not None:
        panels.append(_panel(f"merged to {len(merged):,}", merged))
    stems = f"{Path(options.model).name} on {Path(options.data).name}"
    title = f"{stems}: a colour for each map, black where W x + b = 0"
    plot.members(found.x, panels, title=title, path=options.picture)
    return [options.picture]


def _panel(title: str, groups: Groups) -> plot.Panel:
    """Draw where maps are 0 if there is one output."""
    single = groups.y.shape[1] == 1
    maps = [(model.W[0], float(model.b[0])) for model in groups.models] if single else []
    return plot.Panel(title, groups.member, maps)


def _scores(found: Groups) -> dict[str, Any] | None:
    return None if found.scores is None else asdict(found.scores)


def _show(document: dict[str, Any], screen: Screen) -> None:
    screen.line(f"{document['model']} on {document['data']}: {document['samples']:,} samples")
    for note in document["data_notes"]:
        screen.line(f"note: {note}")
    several = document["regions"] != document["maps"]
    also = f" with {document['maps']:,} different maps" if several else ""
    screen.line(f"{document['regions']:,} regions{also}; each map is the model on its samples")
    _show_scores(document["scores"], screen)
    _table("Largest regions", document["groups"], screen)
    merged = document["merged"]
    if merged is not None:
        screen.line()
        screen.line(
            f"merged to {merged['groups']:,} groups, off F by {merged['error']:.3g} "
            "(root mean square)"
        )
        _show_scores(merged["scores"], screen)
        _table("Largest groups", merged["table"], screen)
    screen.line()
    for path in document["files"]:
        screen.line(f"wrote {path}")
    screen.line(f"{document['seconds']:.2f} s")


def _show_scores(scores: dict[str, Any] | None, screen: Screen) -> None:
    if scores is not None:
        area = "" if scores["auc"] is None else f", AUC {scores['auc']:.4f}"
        screen.line(f"accuracy {scores['accuracy']:.2%}{area}")


def _table(title: str, listed: list[dict[str, Any]], screen: Screen) -> None:
    screen.heading(title)
    names = {
        "label_mean": "label mean",
        "accuracy": "accuracy",
        "auc": "AUC",
        "auc_everywhere": "AUC everywhere",
    }
    shown = [name for name in names if name in listed[0]]
    small = len(listed[0]["response"]) == 1
    features = len(listed[0]["center"]) if small and len(listed[0]["center"]) <= FEW else 0
    columns = ["samples", *(names[name] for name in shown), *(["mean F"] if small else [])]
    columns += [f"W[{i}]" for i in range(features)] + (["b"] if features else [])
    rows: list[list[Cell]] = []
    for row in listed:
        cells = [row["samples"], *(row[name] for name in shown)]
        cells += row["response"] if small else []
        rows.append(cells + ([*row["W"][0], *row["b"]] if features else []))
    screen.table(columns, rows)
