"""What the page says of every node: status, shape, live share, and how near its units are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.program import Step
from onnxlin.readings import live_units

MOST_DECADES, PER_DECADE = 12, 2


@dataclass(eq=False)
class _Row:
    """A node in the making: the steps of one that was opened are put together."""

    name: str
    op_type: str
    status: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    margins: list[Array] = field(default_factory=list)
    units: int = 0
    on: int = 0
    live: int = 0


def nodes(m: AffineMap) -> dict[str, Any]:
    """Describe every node of a map, in order, under "rows"; "edges" are those of the histograms.

    A histogram counts the units of a node by their distance from its nearest kink, in units of
    the node's own input: edges are powers of ten, ties (distance 0) stand apart. "live" counts the
    units that reach one of the map's rows, see `onnxlin.readings.live_units`.

    Raises
    ------
    DetachedError, ResidualError
    """
    rows: dict[str, _Row] = {}
    for step in m.made_from("a page of nodes").program.steps:
        _add(rows, step)
    for unit in live_units(m):
        row = rows[unit.node]
        row.units += unit.units
        row.on += unit.on
        row.live += unit.live
    edges = _edges([part for row in rows.values() for part in row.margins])
    return {
        "edges": edges.tolist(),
        "rows": [_described(row, edges) for row in rows.values()],
    }


def _add(rows: dict[str, _Row], step: Step) -> None:
    row = rows.setdefault(step.node.name, _Row(step.node.name, step.node.op_type))
    row.shape = step.shape
    if step.status not in row.status:
        row.status.append(step.status)
    if step.margin is not None:
        row.margins.append(step.margin().ravel())


def _edges(margins: Sequence[Array]) -> Array:
    """Half decades from the smallest to the largest distance, twelve decades at most."""
    sizes = [part[(part > 0) & np.isfinite(part)] for part in margins]
    ends = [(float(part.min()), float(part.max())) for part in sizes if part.size]
    if not ends:
        return np.zeros(0)
    top = int(np.ceil(np.log10(max(high for _, high in ends))))
    low = int(np.floor(np.log10(min(low for low, _ in ends))))
    low = max(min(low, top - 1), top - MOST_DECADES)
    found: Array = 10.0 ** (np.arange(low * PER_DECADE, top * PER_DECADE + 1) / PER_DECADE)
    return found


def _described(row: _Row, edges: Array) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": row.name,
        "op_type": row.op_type,
        "status": ", ".join(row.status),
        "shape": list(row.shape),
        "size": prod(row.shape),
        "margins": None,
    }
    if row.margins:
        found |= {"units": row.units, "on": row.on, "live": row.live}
        found["margins"] = _histogram(np.concatenate(row.margins), edges)
    return found


def _histogram(margins: Array, edges: Array) -> dict[str, Any]:
    near = margins[(margins > 0) & np.isfinite(margins)]
    # What is nearer than the first edge falls into the first bin, rounding at the last into it.
    inside = np.clip(near, edges[0], edges[-1]) if edges.size else near
    counts = np.histogram(inside, edges)[0] if edges.size else np.zeros(0, np.int64)
    return {
        "ties": int(np.count_nonzero(margins == 0)),
        "never": int(np.count_nonzero(np.isinf(margins))),
        "counts": counts.tolist(),
        "least": float(near.min()) if near.size else None,
        "median": float(np.median(near)) if near.size else None,
    }
