"""``onnxlin explain --singular N``: the operators of the strongest tokens, decoded."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.cli import target
from onnxlin.cli.labels import Labels
from onnxlin.cli.screen import Cell, Screen, percent
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.readings import Embedding, TokenOperator, output_embedding, token_operators

DIRECTIONS, NEAREST, RANKS = 3, 5, (1, 4)


def read(
    m: AffineMap,
    explained: Sequence[dict[str, Any]],
    labels: Labels,
    feeds: dict[str, Array],
    options: Any,
) -> dict[str, Any] | None:
    """Take the strongest tokens' operators apart; None where nobody asks.

    They end at the tensor that the output embedding reads, at the position that is asked about.

    Parameters
    ----------
    explained : list of dict
        The strongest tokens are those of the first.

    Raises
    ------
    OptionError
        Outputs are not made by an output embedding, or x has no tokens.
    """
    features = explained[0]["features"] if explained else []
    if not options.singular or not features:
        return None
    if "token" not in features[0]:
        raise OptionError("--singular is about tokens, which x does not consist of here.")
    head = output_embedding(m)
    lin = target.linearizer(argparse.Namespace(**{**vars(options), "outputs": [head.tensor]}))
    width = head.table.shape[1]
    count = sum(value.size for value in lin.run(feeds).values()) // width
    at = _position(labels, count)
    hidden = lin(feeds, np.arange(at * width, (at + 1) * width), dtype=options.dtype)
    tokens = [feature["token"] for feature in features[: options.singular]]
    first = next(iter(hidden.inputs))
    found = token_operators(hidden, tokens, tensor=first)
    names = {feature["token"]: feature["name"] for feature in features}
    return {
        "tensor": head.tensor,
        "position": at,
        "tokens": [{"name": names[one.token], **_listed(one, head, labels)} for one in found],
    }


def _position(labels: Labels, count: int) -> int:
    """Which of so many vectors belongs to the outputs that are asked about."""
    scores = labels.scores
    if scores is None or count == 1:
        return count - 1
    return scores.positions.index(scores.at) if count == len(scores.positions) else scores.at


def _listed(one: TokenOperator, head: Embedding, labels: Labels) -> dict[str, Any]:
    return {
        "token": one.token,
        "values": one.values[: max(RANKS)].tolist(),
        "stable_rank": one.stable_rank,
        "left_out": {str(rank): one.low_rank_error(rank) for rank in RANKS},
        "directions": [
            {
                "value": float(one.values[i]),
                "along": float(one.along[i]),
                "nearest": _words(head.nearest(one.left[:, i], NEAREST)[0], labels),
            }
            for i in range(min(DIRECTIONS, len(one.values)))
        ],
    }


def _words(tokens: Array, labels: Labels) -> list[str]:
    if labels.scores is None:
        return [labels[int(i)] for i in tokens]
    words = labels.scores.words
    return [words[i] if i < len(words) and words[i] else str(int(i)) for i in tokens]


def show(found: dict[str, Any] | None, screen: Screen) -> None:
    """Print what `read` has found."""
    if found is None:
        return
    screen.heading(f"Operators of tokens: from each vector to {found['tensor']!r}")
    rows: list[list[Cell]] = []
    for one in found["tokens"]:
        for i, way in enumerate(one["directions"]):
            place: list[Cell] = [one["token"], one["name"]] if i == 0 else ["", ""]
            left = percent(one["left_out"][str(i + 1)]) if str(i + 1) in one["left_out"] else ""
            size = [f"{way['value']:.4g}", left, f"{way['along']:.3g}"]
            rows.append([*place, *size, " ".join(map(repr, way["nearest"]))])
    columns = ["at", "token", "singular value", "left out behind it", "of x along it", "decoded"]
    screen.table(columns, rows)
