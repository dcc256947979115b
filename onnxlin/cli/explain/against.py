"""``--against``: why one output and not another, as one more row to explain, the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.cli.explain.baseline import Shown
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.page import Part
from onnxlin.readings.row import named, report

Pair = tuple[int, int]
"""Positions of two rows: the one explained, and the one that it is held against."""


def pair_of(
    m: AffineMap, chosen: Sequence[int], classes: Sequence[int], rival: Sequence[int]
) -> Pair | None:
    """Return the rows to compare: the first class asked for, or the strongest, and its rival.

    Parameters
    ----------
    chosen : sequence of int
        Positions of rows that are explained, the strongest output first.
    classes, rival : sequence of int
        Outputs that ``--class`` and ``--against`` name, if any.

    Returns
    -------
    pair or None
        None without a rival.

    Raises
    ------
    OptionError
        Both are the same output, or the map has no row of one of them.
    """
    if not rival:
        return None
    place = {report.output(m, position): position for position in chosen}
    first = classes[0] if classes else next(iter(place))
    other = rival[0]
    if first == other:
        raise OptionError(
            f"--against {other} is the output that is explained. Name another, or with --class the "
            "one to explain."
        )
    if first not in place or other not in place:
        raise OptionError("--against compares outputs, and --rows has combinations of them.")
    return place[first], place[other]


def put_first(
    m: AffineMap,
    pair: Pair | None,
    items: list[dict[str, Any]],
    shown: Shown,
    *,
    parts: tuple[Part, ...],
    count: int,
) -> list[tuple[dict[str, Any], Array]]:
    """Put the difference of a pair before the rows explained; return what is drawn, with values.

    Of a pair its difference alone, else every row.
    """
    if pair is None:
        return [(item, shown.values[item["position"]]) for item in items]
    found, values = _difference(m, pair, items, shown, parts=parts, count=count)
    items.insert(0, found)
    return [(found, values)]


def _difference(
    m: AffineMap,
    pair: Pair,
    items: Sequence[dict[str, Any]],
    shown: Shown,
    *,
    parts: tuple[Part, ...],
    count: int,
) -> tuple[dict[str, Any], Array]:
    """Explain the difference of two rows that are explained: what is said of it, and its values.

    Rows are linear, so the difference of two has the differences of their contributions and of
    their shares of b; its error is at most the sum of theirs.
    """
    values = shown.values[pair[0]] - shown.values[pair[1]]
    at = {item["position"]: item for item in items}
    a, b = (at[position] for position in pair)
    return {
        "position": None,
        "output": None,
        "label": f"{a['label']} against {b['label']}",
        "pair": [a["output"], b["output"]],
        **{key: a[key] - b[key] for key in ("F", "Wx", "b")},
        "error_bound": float(m.error_bound[list(pair)].sum()),
        "features": _features(m, pair, parts, values, count),
        **_shares(m, pair, count),
        "baseline": _split(a["baseline"], b["baseline"]),
    }, values


def _features(
    m: AffineMap, pair: Pair, parts: tuple[Part, ...], values: Array, count: int
) -> list[dict[str, Any]]:
    found = named.strongest(m, pair[0], parts, values, count)
    for feature in found:
        if "column" in feature:
            of_a, of_b = (float(m.W[row, feature["column"]]) for row in pair)
            feature["weight"] = of_a - of_b
    return found


def _shares(m: AffineMap, pair: Pair, count: int) -> dict[str, Any]:
    """Shares of b by node, the largest, and by kind."""
    found = report.ledger(m, pair)
    shares = np.subtract(*found["shares"])
    ledger = {**found, "shares": [shares.tolist()]}
    order = [int(i) for i in np.argsort(-np.abs(shares), kind="stable")[:count] if shares[i]]
    listed = [
        {"node": found["nodes"][i], "value": float(shares[i]), "kind": found["kinds"][i]}
        for i in order
    ]
    return {"biases": listed, "kinds": report.by_kind(ledger, 0)}


def _split(a: dict[str, Any] | None, b: dict[str, Any] | None) -> dict[str, Any] | None:
    """How the difference splits against a baseline; a number that either lacks is None."""
    if a is None or b is None:
        return None
    return {k: None if a[k] is None or b[k] is None else a[k] - b[k] for k in a}
