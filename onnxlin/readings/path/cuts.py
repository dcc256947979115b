"""Where the guards of many neighbouring cells of a segment are met."""

from __future__ import annotations

from math import prod

import numpy as np

from onnxlin.graph import Node
from onnxlin.primitives import Array
from onnxlin.program import Bounds
from onnxlin.readings.region.walls import Unit

Cuts = tuple[Array, Array, list[Unit]]
"""Cells, shares of them at which they are cut, and what is met there; in order."""


Parts = tuple[Array, Array, list[Unit | None]]


def find_cuts(t: Array, guard: Bounds, z: Array, node: Node, least: float) -> Cuts | None:
    """Where the pieces asked for end inside of the cells; None if nowhere.

    Each unit has one piece around the point asked, which ends where the nearest of its guards on
    either side is met. Units don't depend on one another, so all those ends are true ones.
    """
    n, k = len(z), prod(guard.shape[len(guard.shape) - guard.rivals :])
    ends = z.swapaxes(0, 1).reshape(2, n * z.shape[2], *z.shape[3:])
    first, last = guard({guard.terms[0][0]: ends}).reshape(2, n, -1, k)
    low, high = guard.low.reshape(n, -1, k), guard.high.reshape(n, -1, k)
    found = [_met(first, last, low, high, at) for at in (0, 1)]
    cell, share, unit, rival = (np.concatenate(parts) for parts in zip(*found, strict=True))
    width = t[cell, 1] - t[cell, 0]
    order = np.lexsort((share, cell))
    order = order[(np.minimum(share, 1 - share) * width > least)[order]]
    cell, share, width = cell[order], share[order], width[order]
    # What is met within a rounding of what was met before is met together with it.
    apart = np.append(True, (np.diff(cell) > 0) | (np.diff(share) * width[1:] > least))
    if not len(cell):
        return None
    order, cell, share = order[apart], cell[apart], share[apart]
    names = zip(unit[order], rival[order], strict=True)
    return cell, share, [_unit(node, guard, n, int(u), int(r)) for u, r in names]


def _met(
    first: Array, last: Array, low: Array, high: Array, at: int
) -> tuple[Array, Array, Array, Array]:
    """Guards that are passed at one end of the cells: ``(cell, share, unit, rival)`` of each unit.

    Of the guards of a unit that one counts which is met nearest to the point asked.
    """
    value = last if at else first
    cell, unit, rival = np.nonzero((value > high) | (value < low))
    at_guard = (cell, unit, rival)
    bound = np.where(value[at_guard] > high[at_guard], high[at_guard], low[at_guard])
    start, end = first[at_guard], last[at_guard]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (bound - start) / (end - start)
    # What does not move over the cell is beyond its bound by rounding alone.
    order = np.lexsort((share if at else -share, unit, cell))
    order = order[(start != end)[order]]
    one = np.append(True, (np.diff(cell[order]) > 0) | (np.diff(unit[order]) != 0))
    order = order[one[: len(order)]]
    return cell[order], share[order], unit[order], rival[order]


def fewer(cuts: Cuts, count: int) -> Cuts:
    """Keep about so many cuts, evenly."""
    kept = np.arange(0, len(cuts[0]), -(-len(cuts[0]) // max(count, 1)))
    return cuts[0][kept], cuts[1][kept], [cuts[2][i] for i in kept]


def parts_of(n: int, cell: Array, share: Array, units: list[Unit]) -> Parts:
    """Turn cuts into parts: the cell of each, from and to which share of it, and what is there."""
    counts = np.bincount(cell, minlength=n) + 1
    parent = np.repeat(np.arange(n), counts)
    spans = np.stack([np.zeros(len(parent)), np.ones(len(parent))], axis=1)
    place = np.arange(len(cell)) + cell + 1  # each cell before has one part more than it has cuts
    spans[place, 0] = share
    spans[place - 1, 1] = share
    causes: list[Unit | None] = [None] * len(parent)
    for at, unit in zip(place, units, strict=True):
        causes[at] = unit
    return parent, spans, causes


def _unit(node: Node, guard: Bounds, n: int, unit: int, rival: int) -> Unit:
    shape = guard.shape[: len(guard.shape) - guard.rivals]
    place = np.unravel_index(unit, (shape[0] // n, *shape[1:]))
    index = tuple(int(i) for i in place)
    return Unit(node.name, node.op_type, guard.what, index, rival if guard.rivals else None, 0.0)
