"""A map as plain data: what a person reads first, ready for JSON (docs/readings/export.md).

`report` is the whole; `onnxlin explain` and the page take the same entries from here, beside what
they know of the model, its input and its classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from typing import Any, Protocol

import numpy as np

from onnxlin.affine_map import AffineMap, Verdict, together
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.readings.bias.kinds import MEANING
from onnxlin.readings.bias.ledger import ledger as split_by_node
from onnxlin.readings.bias.structural import structural_zero
from onnxlin.readings.row import summary
from onnxlin.section.options import number, whole

VERSION = 1


class Labels(Protocol):
    """Names of the outputs, by index: a list will do."""

    def __getitem__(self, index: int, /) -> str:
        """Name one."""


def report(
    m: AffineMap,
    *,
    labels: Labels | None = None,
    top: int = 10,
    near: float = 1e-3,
) -> dict[str, Any]:
    """Describe a map: shapes, every row with its residual and bound, and what is strongest in it.

    Parameters
    ----------
    m : AffineMap
        Of a map loaded from a file, what needs the program is None.
    labels : sequence of str, optional
        A name for each output of the model; by default its index.
    top : int
        Length of the lists of features and of nodes, for each row.
    near : float
        Units this close to a kink are counted.

    Returns
    -------
    dict
        Of numbers, text, lists and dicts alone. Shares are None where W x + b is 0.

    Raises
    ------
    DetachedError
        The map was loaded from a file that holds no bound: save it after `AffineMap.verify`.
    """
    whole("top", top)
    number("near", near)
    require_labels(m, labels)
    verdict = rows(m, labels)  # first: it may add to the notes
    return {
        "format": "onnxlin.report",
        "version": VERSION,
        **about(m),
        **verdict,
        "kinks": None if m.detached else kinks(m, near),
        "explained": [explained(m, i, top, labels) for i in range(len(m.rows))],
    }


def require_labels(m: AffineMap, labels: Any) -> None:
    """Raise InputError unless there is a name for each output, where any are given."""
    if isinstance(labels, Sequence) and len(labels) >= m.rows.size:
        return
    if labels is not None and (isinstance(labels, Sequence) or not hasattr(labels, "__getitem__")):
        raise InputError(f"labels={labels!r}; expected {m.rows.size} names, one for each output.")


def about(m: AffineMap) -> dict[str, Any]:
    """Shapes of the inputs and outputs, and how the map was made."""
    inputs, outputs = m.shapes
    status = None if m.detached else Counter(layer.status for layer in m.layers)
    return {
        "inputs": {name: list(shape) for name, shape in inputs.items()},
        "outputs": {name: list(shape) for name, shape in outputs.items()},
        "map": {
            "rows": len(m.rows),
            "columns": len(m.x),
            "dtype": str(m.dtype),
            "mode": m.mode,
            "rounding": m.rounding,
            "notes": list(m.notes),
            "status": None if status is None else dict(status.most_common()),
            "engine": m.engine,
            "plan": m.plan,
        },
    }


def rows(m: AffineMap, labels: Labels | None = None) -> dict[str, Any]:
    """Every row, under "rows", and under "residual" the verdict on all of them."""
    summaries = summary.summarise(m)
    listed = [
        {
            "output": output(m, row.position),
            "label": label(m, row.position, labels),
            "F": row.y,
            "Wx": row.Wx,
            "b": row.b,
            "Wx_share": row.Wx_share,
            "b_share": row.b_share,
            "residual": row.residual,
            "bound": row.bound,
            "error": row.error,
            "error_bound": row.error_bound,
            "pass": row.ok,
            "verdict": str(row.verdict),
        }
        for row in summaries
    ]
    worst = summary.worst(summaries)
    decided = together(row.verdict for row in summaries)
    doubt = None
    if decided is Verdict.UNDECIDED and worst is not None and not m.detached:
        doubt = m.doubt(worst.position)
    verdict = {
        "pass": decided is Verdict.PASS,
        "verdict": str(decided),
        "undecided": sum(row.verdict is Verdict.UNDECIDED for row in summaries),
        "because": None if doubt is None else str(doubt),
        "row": None if worst is None else listed[worst.position]["label"],
        "residual": None if worst is None else worst.residual,
        "bound": None if worst is None else worst.bound,
        "error": None if worst is None else worst.error,
        "error_bound": None if worst is None else worst.error_bound,
        "output_size": None if worst is None else float(m.output_size[worst.position]),
    }
    return {"rows": listed, "residual": verdict}


def with_probabilities(
    rows: Sequence[dict[str, Any]], chances: Sequence[float] | Array | None
) -> list[dict[str, Any]]:
    """Give every row the probability of its output, of ``chances`` of all outputs; else None.

    NaN stands for an output without one.
    """
    return [
        {
            **row,
            "probability": None
            if chances is None or row["output"] is None or isnan(chances[row["output"]])
            else float(chances[row["output"]]),
        }
        for row in rows
    ]


def output(m: AffineMap, position: int) -> int | None:
    """Index of the output that a row is; None for a combination."""
    return None if m.rows.index is None else int(m.rows.index[position])


def label(m: AffineMap, position: int, labels: Labels | None = None) -> str:
    """Name a row: by its output, or as a combination."""
    index = output(m, position)
    if index is None:
        return f"combination {position}"
    return str(index) if labels is None else labels[index]


def kinks(m: AffineMap, near: float) -> dict[str, Any]:
    """Count units on a kink, and within ``near`` of one."""
    ties = m.near_kinks(0.0)
    close = m.near_kinks(near)
    return {
        "ties": sum(ties.values()),
        "ties_by_node": {node: count for node, count in ties.items() if count},
        "near": near,
        "within_near": sum(close.values()),
        "within_near_by_node": {node: count for node, count in close.items() if count},
    }


def structure(m: AffineMap) -> dict[str, Any]:
    """Whether b = 0 must hold, and what follows; see `onnxlin.readings.structural_zero`."""
    found = structural_zero(m)
    return {
        "holds": found.holds,
        "integrated_gradients": found.is_integrated_gradients,
        "text": str(found),
    }


def ledger(m: AffineMap, positions: Sequence[int]) -> dict[str, Any]:
    """Shares of b by node: under "shares" a list for each row, and the kind of every node."""
    found = split_by_node(m, np.array(positions, np.int64))
    return {
        "nodes": list(found.nodes),
        "kinds": list(found.kinds),
        "shares": found.shares.T.tolist(),
        "meaning": {kind: MEANING[kind] for kind in found.by_kind},
    }


def by_kind(ledger: dict[str, Any], at: int) -> list[dict[str, Any]]:
    """Return the b of row ``at`` of a ledger by kind, with the number of nodes of each."""
    kinds, shares = np.array(ledger["kinds"], dtype=str), np.array(ledger["shares"][at])
    return [
        {
            "kind": kind,
            "value": float(shares[kinds == kind].sum()),
            "nodes": int(np.count_nonzero(kinds == kind)),
            "meaning": meaning,
        }
        for kind, meaning in ledger["meaning"].items()
    ]


def explained(
    m: AffineMap, position: int, top: int, labels: Labels | None = None
) -> dict[str, Any]:
    """Return the strongest features and biases of one row."""
    features = summary.strongest_features(m, position, top)
    return {
        **named(m, position, labels),
        "features": [{**asdict(f), "index": list(f.index)} for f in features],
        "biases": biases(m, position, top),
    }


def named(m: AffineMap, position: int, labels: Labels | None = None) -> dict[str, Any]:
    """Say which row it is: its position in the map, its output and that output's name."""
    return {
        "position": position,
        "output": output(m, position),
        "label": label(m, position, labels),
    }


def biases(m: AffineMap, position: int, top: int) -> list[dict[str, Any]]:
    """Return the nodes that bring the largest shares of one row's b."""
    return [asdict(share) for share in summary.strongest_biases(m, position, top)]
