"""``onnxlin explain``: what carries each output at one input."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin import page
from onnxlin.affine_map import AffineMap, Verdict
from onnxlin.cli import arguments, boxed, target
from onnxlin.cli.explain import (
    against,
    asks,
    baseline,
    exports,
    files,
    flips,
    hidden,
    layers,
    singular,
    text,
)
from onnxlin.cli.explain.page import About, write_pages
from onnxlin.cli.labels import Labels, scores_of
from onnxlin.cli.screen import Screen
from onnxlin.engines.memory import memory_budget, peak
from onnxlin.graph import Array
from onnxlin.inputs import Given
from onnxlin.inputs.told import metadata
from onnxlin.linearizer import Linearizer, columns
from onnxlin.page.computing.engine import require_engine
from onnxlin.readings.row import named, report, summary
from onnxlin.readings.row.ended import ended
from onnxlin.section.outputs import groups, logits_note

TIME = 600
"""Seconds in a sandbox, unless others are asked for."""
CODES = {Verdict.PASS: 0, Verdict.FAIL: 4, Verdict.UNDECIDED: 6}


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Linearise a model at one input; show what carries each output, and how exactly."
    command = arguments.command(commands, "explain", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument(
        "input", help="a picture, .npy, .npz (names as in the model), .csv or a text (.txt)"
    )
    arguments.ends(command)
    arguments.how(command, threads=True)
    asks.what(command)
    asks.files(command)
    arguments.classes(command)
    arguments.sample(command)
    arguments.pictures(command)
    boxed.declare(command, TIME)


def run(options: Any, screen: Screen) -> int:
    """Explain one input and return the exit code."""
    if options.live is not None:
        require_engine()  # before anything is computed
    document = boxed.answered(options, f"{__name__}:answer", TIME, screen)
    screen.document(document)
    text.show(document, screen, options.top, verbose=options.verbose)
    return CODES[document["residual"]["verdict"]]


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked of a map before there is one: F(x), names, and which rows."""

    y: Array
    vocabulary: tuple[str, ...]
    labels: Labels
    classes: list[int]
    rival: list[int]
    columns: int
    rows: target.Rows


def _asked(options: Any, lin: Linearizer, given: Given) -> _Asked:
    """Run the model, and read what the options say of its outputs."""
    outputs = lin.run(dict(given.feeds))
    y = np.concatenate([value.ravel().astype(np.float64) for value in outputs.values()])
    vocabulary = page.read_vocabulary(options.vocabulary, metadata(lin.graph))
    scores = scores_of(lin, given.feeds, outputs, vocabulary, options.position)
    labels = Labels.of(lin, outputs, scores)
    classes = [labels.find(name, len(y)) for name in options.classes]
    rival = [labels.find(name, len(y), "--against") for name in options.against]
    wide = columns(lin, given.feeds)
    rows = target.choose_rows(options.rows, [*classes, *rival], y, wide, labels.span)
    return _Asked(y, vocabulary, labels, classes, rival, wide, rows)


def answer(options: Any) -> dict[str, Any]:
    """Explain one input, here or in a sandbox: write the files, return all that there is to say."""
    start = time.perf_counter()
    lin = target.linearizer(options)
    given = target.given(options, lin)
    asked = _asked(options, lin, given)
    y, labels, rows, archive = asked.y, asked.labels, asked.rows, files.archive(options)
    size = len(y) if rows.rows is None else len(rows.rows), asked.columns
    large = files.is_large(archive, *size, options.memory)
    m = target.linearise(lin, given.feeds, rows.rows, options, archive if large else None)
    parts = page.parts(m, given, lin.graph, asked.vocabulary)
    chances, prediction = _prediction(y, labels, groups(lin.section), options.top)
    verdict = report.rows(m, labels)
    # A map that is not the model explains nothing.
    failed = verdict["residual"]["verdict"] == Verdict.FAIL
    chosen = [] if failed else _chosen(m, y, [*asked.classes, *asked.rival], labels.span)
    shown = baseline.shown(m, chosen, lin, given, options)
    explained = _explained(m, chosen, labels, parts, shown=shown, count=options.top)
    pair = against.pair_of(m, chosen, asked.classes, asked.rival) if chosen else None
    drawn = against.put_first(m, pair, explained, shown, parts=parts, count=options.top)
    nothing = ended(m, lin.section)
    asks = options.flips and bool(chosen)
    searched = flips.search(lin, m, given.feeds, parts, labels) if asks else None
    document: dict[str, Any] = {
        **_head(options, lin, given, m, rows.note),
        "prediction": prediction,
        **verdict,
        "rows": report.with_probabilities(verdict["rows"], chances),
        "kinks": report.kinks(m, options.near),
        "ended": None if nothing is None else nothing.as_dict(),
        "baseline": shown.about,
        "structural_zero": report.structure(m) if chosen else None,
        "explained": explained,
        "layers": layers.read(m, chosen, parts, options),
        "hidden": hidden.read(m, chosen, options),
        "singular": singular.read(m, explained, labels, dict(given.feeds), options),
        "flips": None if searched is None else searched.about,
        "files": [],
    }
    if archive is not None:
        pictures = _pictures(m, parts, drawn, document, options)
        document["files"] = [*pictures, files.keep(m, archive, there=large)]
    document["files"] += exports.write(m, lin, options)
    known = chances, prediction["probability_is"], asked.vocabulary
    about = About(lin, given, parts, labels, *known, None if searched is None else searched.shown)
    document["files"] += write_pages(m, about, chosen, pair, options)
    document["memory"] = _memory(m, options)
    document["seconds"] = round(time.perf_counter() - start, 3)
    return document


def _pictures(
    m: AffineMap,
    parts: tuple[page.Part, ...],
    drawn: list[tuple[dict[str, Any], Array]],
    document: dict[str, Any],
    options: Any,
) -> list[str]:
    """Draw what is explained; return the paths."""
    explained = document["explained"]
    pictures = files.draw(m, parts, drawn, options)
    pictures += files.draw_layers(document["layers"], explained, options)
    return pictures + files.draw_hidden(m, parts, document["hidden"], explained, options)


def _memory(m: AffineMap, options: Any) -> dict[str, Any]:
    budget = memory_budget(options.memory)
    return {"budget": budget, "estimate": m.memory_needed, "peak": peak()}


def _head(options: Any, lin: Linearizer, given: Given, m: AffineMap, note: str) -> dict[str, Any]:
    about = report.about(m)
    if hint := None if options.outputs else logits_note(lin.section):
        about["map"]["notes"].append(hint)
    return {
        "model": options.model,
        "nodes": len(lin.section.nodes),
        "input": options.input,
        "input_notes": list(given.notes),
        **about,
        "map": {**about["map"], "rows_note": note},
    }


def _prediction(
    y: Array, labels: Labels, one_group: bool | None, count: int
) -> tuple[Array | None, dict[str, Any]]:
    """Return probabilities, where the outputs are those of one group, and the strongest outputs.

    Numbers that nothing calls logits (a regression, the outputs of a sigmoid) have none.
    """
    kind, shown, span = None, None, labels.span
    logits = labels.classes if one_group is None else one_group
    scores = labels.scores is not None
    vector = scores or labels.vector
    if vector and len(y) > 1 and (scores or logits or summary.is_distribution(y)):
        shown = np.full(len(y), np.nan)
        kind, shown[span] = summary.probabilities(y[span])
    top = [
        {
            "output": i,
            "label": labels[i],
            "F": float(y[i]),
            "probability": None if shown is None else float(shown[i]),
        }
        for i in (span.start + place for place in summary.top(y[span], count))
    ]
    return shown, {"outputs": len(y), "probability_is": kind, "top": top}


def _chosen(m: AffineMap, y: Array, classes: Sequence[int], span: slice) -> list[int]:
    """Positions of the rows to explain: the strongest output, if computed, and those asked for."""
    if m.rows.index is None:
        return list(range(min(len(m.rows), target.STRONGEST)))
    place = {int(output): i for i, output in reversed(list(enumerate(m.rows.index)))}
    strongest = [span.start + i for i in summary.top(y[span], 1)]
    if strongest and strongest[0] not in place and not classes:
        return summary.top(m.y, 1)
    wanted = dict.fromkeys([*strongest, *classes])
    return [place[output] for output in wanted if output in place]


def _explained(
    m: AffineMap,
    chosen: Sequence[int],
    labels: Labels,
    parts: tuple[page.Part, ...],
    *,
    shown: baseline.Shown,
    count: int,
) -> list[dict[str, Any]]:
    """Return the strongest features and biases of every chosen row, and its b by kind."""
    if not chosen:
        return []
    ledger = report.ledger(m, chosen)
    kind_of = dict(zip(ledger["nodes"], ledger["kinds"], strict=True))
    return [
        {
            **report.named(m, position, labels),
            "F": float(m.y[position]),
            "Wx": float(m.Wx[position]),
            "b": float(m.b[position]),
            "features": named.strongest(m, position, parts, shown.values[position], count),
            "biases": [
                {**share, "kind": kind_of[share["node"]]}
                for share in report.biases(m, position, count)
            ],
            "kinds": report.by_kind(ledger, at),
            "baseline": shown.rows[position],
        }
        for at, position in enumerate(chosen)
    ]
