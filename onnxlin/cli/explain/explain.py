"""``onnxlin explain``: what carries each output at one input."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from onnxlin import page
from onnxlin.affine_map import AffineMap
from onnxlin.cli import arguments, target
from onnxlin.cli.explain import baseline, exports, files, text
from onnxlin.cli.explain.page import About, write_page
from onnxlin.cli.screen import Screen
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.linearizer import Linearizer
from onnxlin.readings import ledger, structural_zero
from onnxlin.readings.bias.kinds import MEANING
from onnxlin.readings.row import report, summary

PAST_BOUND = 4


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Linearise a model at one input; show what carries each output, and how exactly."
    command = arguments.command(commands, "explain", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("input", help="a picture, .npy, .npz (names as in the model) or .csv")
    arguments.ends(command)
    arguments.how(command)
    command.add_argument(
        "--class",
        dest="classes",
        metavar="N|NAME",
        nargs="+",
        action="extend",
        default=[],
        help="further outputs to explain, by index or by class name",
    )
    command.add_argument("--top", type=arguments.count, default=10, help="length of the lists (10)")
    command.add_argument(
        "--baseline",
        metavar="zero|FILE",
        help="explain against an x0: W (x - x0) beside W x0 + b and F(x0) (W x and b)",
    )
    command.add_argument(
        "--near", type=float, default=1e-3, help="count units this close to a kink (0.001)"
    )
    _files(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Explain one input and return the exit code."""
    start = time.perf_counter()
    lin = target.linearizer(options)
    given = target.given(options, lin)
    outputs = lin.run(dict(given.feeds))
    y = np.concatenate([value.ravel().astype(np.float64) for value in outputs.values()])
    labels = target.Labels.of(lin, outputs)
    classes = [labels.find(text, len(y)) for text in options.classes]
    rows = target.choose_rows(options.rows, classes, y, target.columns(lin, given.feeds))
    vocabulary = page.read_vocabulary(options.vocabulary, target.metadata(lin))
    m = target.linearise(lin, given.feeds, rows.rows, options)
    parts = page.parts(m, given, lin.graph, vocabulary)
    chances, prediction = _prediction(y, labels, options.top)
    document = {
        **_head(options, lin, given, m, rows.note),
        "prediction": prediction,
        **_rows(m, labels, chances),
        "kinks": report.kinks(m, options.near),
    }
    # A map that is not the model explains nothing.
    chosen = _explained(m, y, classes) if document["residual"]["pass"] else []
    shown = baseline.shown(m, chosen, lin, options)
    document["baseline"] = shown.about
    document["structural_zero"] = _structure(m) if chosen else None
    document["explained"] = [
        {
            **_explain(m, i, labels, parts, values=shown.values[i], count=options.top),
            "baseline": shown.rows[i],
        }
        for i in chosen
    ]
    document["files"] = []
    if not options.no_files:
        document["files"] = files.write(m, parts, document["explained"], shown.values, options)
    document["files"] += exports.write(m, options)
    if options.html is not None:
        about = About(lin, given, parts, labels, chances, prediction["probability_is"])
        document["files"] += write_page(m, about, chosen, options)
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    text.show(document, screen, options.top)
    return 0 if document["residual"]["pass"] else PAST_BOUND


def _head(options: Any, lin: Linearizer, given: Given, m: AffineMap, note: str) -> dict[str, Any]:
    about = report.about(m)
    return {
        "model": options.model,
        "nodes": len(lin.section.nodes),
        "input": options.input,
        "input_notes": list(given.notes),
        **about,
        "map": {**about["map"], "rows_note": note},
    }


def _prediction(y: Array, labels: target.Labels, count: int) -> tuple[Array | None, dict[str, Any]]:
    """Return probabilities, where the outputs may be classes, and the strongest outputs."""
    kind, shown = None, None
    if labels.vector and len(y) > 1:
        already = summary.is_distribution(y)
        kind = "output" if already else "softmax"
        shown = y if already else summary.softmax(y)
    top = [
        {
            "output": i,
            "label": labels[i],
            "F": float(y[i]),
            "probability": None if shown is None else float(shown[i]),
        }
        for i in summary.top(y, count)
    ]
    return shown, {"outputs": len(y), "probability_is": kind, "top": top}


def _rows(m: AffineMap, labels: target.Labels, chances: Array | None) -> dict[str, Any]:
    """Return every row, with its probability, and the verdict on all of them."""
    found = report.rows(m, labels)
    for row in found["rows"]:
        at = row["output"]
        row["probability"] = None if chances is None or at is None else float(chances[at])
    return found


def _explained(m: AffineMap, y: Array, classes: Sequence[int]) -> list[int]:
    """Positions of the rows to explain: the strongest output, if computed, and those asked for."""
    if m.rows.index is None:
        return list(range(min(len(m.rows), target.STRONGEST)))
    place = {int(output): i for i, output in reversed(list(enumerate(m.rows.index)))}
    strongest = summary.top(y, 1)
    if strongest and strongest[0] not in place and not classes:
        return summary.top(m.y, 1)
    wanted = dict.fromkeys([*strongest, *classes])
    return [place[output] for output in wanted if output in place]


def _structure(m: AffineMap) -> dict[str, Any]:
    """Whether b = 0 must hold."""
    found = structural_zero(m)
    return {
        "holds": found.holds,
        "integrated_gradients": found.is_integrated_gradients,
        "text": str(found),
    }


def _explain(
    m: AffineMap,
    position: int,
    labels: target.Labels,
    parts: tuple[page.Part, ...],
    *,
    values: Array,
    count: int,
) -> dict[str, Any]:
    """Return the strongest features and biases of one row, and its b by kind."""
    found = ledger(m, [position])
    kind_of = dict(zip(found.nodes, found.kinds, strict=True))
    biases = [
        {**asdict(share), "kind": kind_of[share.node]}
        for share in summary.strongest_biases(m, position, count)
    ]
    return {
        "position": position,
        "output": report.output(m, position),
        "label": report.label(m, position, labels),
        "features": _features(m, position, parts, values, count),
        "biases": biases,
        "kinds": [
            {
                "kind": kind,
                "value": float(value[0]),
                "nodes": found.kinds.count(kind),
                "meaning": MEANING[kind],
            }
            for kind, value in found.by_kind.items()
        ],
    }


def _features(
    m: AffineMap, position: int, parts: tuple[page.Part, ...], values: Array, count: int
) -> list[dict[str, Any]]:
    """Return the strongest entries of x, or the strongest tokens, each the sum of its entries."""
    if all(part.kind == "tokens" for part in parts):
        return _tokens(parts, values, count)
    part_of = {part.tensor: part for part in parts}
    return [
        {**asdict(feature), "name": _name(feature, part_of), **_pixel(feature, part_of)}
        for feature in summary.strongest_features(m, position, count, values)
    ]


def _tokens(parts: tuple[page.Part, ...], values: Array, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"tensor": part.tensor, "token": at, "name": part.names[at], "contribution": float(value)}
        for part in parts
        for at, value in enumerate(part.grouped(values[part.columns]))
        if value
    ]
    return sorted(found, key=lambda token: -abs(token["contribution"]))[:count]


def _name(feature: summary.Feature, part_of: Mapping[str, page.Part]) -> str:
    names, index = part_of[feature.tensor].names, feature.index
    shape = part_of[feature.tensor].shape
    if names:
        return names[int(np.ravel_multi_index(index, shape))]
    # A batch axis of 1 says nothing.
    at = ",".join(str(i) for i in (index[1:] if len(index) > 1 and shape[0] == 1 else index))
    return f"{feature.tensor}[{at}]" if index else feature.tensor


def _pixel(feature: summary.Feature, part_of: Mapping[str, page.Part]) -> dict[str, int]:
    """Channel, row and column of a feature of a picture."""
    geometry = part_of[feature.tensor].geometry
    if geometry is None:
        return {}
    flat = int(np.ravel_multi_index(feature.index, geometry.shape))
    return dict(zip(("channel", "row", "column_of_picture"), geometry.place(flat), strict=True))


def _files(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group("files")
    files.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where to write <input>.<class>.png and <input>.npz (here); a prefix replaces <input>",
    )
    files.add_argument(
        "--no-files", action="store_true", help="write none of these; --html and others still are"
    )
    files.add_argument("--html", metavar="FILE", help="write a page for a browser, in one file")
    files.add_argument(
        "--sweeps",
        type=arguments.count,
        metavar="N",
        help="gradients for each radius on the page (as many as take some seconds)",
    )
    files.add_argument(
        "--vocabulary",
        metavar="FILE",
        help='names of tokens, one a line (the model\'s metadata entry "vocabulary", JSON)',
    )
    files.add_argument("--to-onnx", metavar="OUT", help="write the map as an ONNX model: one Gemm")
    files.add_argument("--dot", metavar="OUT", help="write the linear program as Graphviz text")
    files.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="PIXELS",
        help="blur the heat map for the eye; its title then says so (0: the true values)",
    )
