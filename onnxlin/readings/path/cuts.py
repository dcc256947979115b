"""Where the guards of many neighbouring cells of a segment are met."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnxlin.graph import Node
from onnxlin.primitives import Array
from onnxlin.program import Bounds
from onnxlin.readings.region.walls import Unit

MET = np.dtype([("cell", int), ("share", float), ("unit", int), ("rival", int)])
"""A guard that is met: in which cell, at which share of it, and of which unit, against which rival.

Units are counted through all cells, as the rule was asked: a row each."""


@dataclass(frozen=True, eq=False)
class Cuts:
    """Where cells are cut.

    Parameters
    ----------
    cells : int
        How many there are.
    node : Node
    guard : Bounds
        Of the node, on all cells.
    met : structured array of `MET`
        In order, cell by cell.
    """

    cells: int
    node: Node
    guard: Bounds
    met: Array

    def __len__(self) -> int:
        return len(self.met)

    def fewer(self, count: int) -> Cuts:
        """Keep about so many, evenly."""
        return replace(self, met=self.met[:: -(-len(self) // max(count, 1))])

    def parts(self) -> Parts:
        """Turn the cuts into what lies between them."""
        cell, share = self.met["cell"], self.met["share"]
        parent = np.repeat(np.arange(self.cells), np.bincount(cell, minlength=self.cells) + 1)
        spans = np.stack([np.zeros(len(parent)), np.ones(len(parent))], axis=1)
        place = np.arange(len(cell)) + cell + 1  # each cell before has a part more than it has cuts
        spans[place, 0] = share
        spans[place - 1, 1] = share
        causes: list[Unit | None] = [None] * len(parent)
        for at, met in zip(place, self.met, strict=True):
            causes[at] = self._unit(int(met["unit"]), int(met["rival"]))
        return Parts(parent, spans, tuple(causes))

    def _unit(self, unit: int, rival: int) -> Unit:
        node, guard = self.node, self.guard
        shape = guard.shape[: len(guard.shape) - guard.rivals]
        place = np.unravel_index(unit, (shape[0] // self.cells, *shape[1:]))
        index = tuple(int(i) for i in place)
        rivals = rival if guard.rivals else None
        return Unit(node.name, node.op_type, guard.what, index, rivals, 0.0)


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of cells, in order.

    Parameters
    ----------
    parent : integer array (parts,)
        The cell of each.
    share : array (parts, 2)
        From which share of it to which.
    causes : tuple of Unit or None
        What is met where each begins; None where that is where its cell begins.
    """

    parent: Array
    share: Array
    causes: tuple[Unit | None, ...]


def find_cuts(t: Array, guard: Bounds, z: Array, node: Node, least: float) -> Cuts | None:
    """Where the pieces asked for end inside of the cells; None if nowhere.

    Each unit has one piece around the point asked, which ends where the nearest of its guards on
    either side is met. Units don't depend on one another, so all those ends are true ones.
    """
    n, k = len(z), prod(guard.shape[len(guard.shape) - guard.rivals :])
    ends = z.swapaxes(0, 1).reshape(2, n * z.shape[2], *z.shape[3:])
    first, last = guard({guard.terms[0][0]: ends}).reshape(2, n, -1, k)
    low, high = guard.low.reshape(n, -1, k), guard.high.reshape(n, -1, k)
    met = np.concatenate([_met(first, last, low, high, at) for at in (0, 1)])
    met = met[np.lexsort((met["share"], met["cell"]))]
    width = (t[:, 1] - t[:, 0])[met["cell"]]
    inside = np.minimum(met["share"], 1 - met["share"]) * width > least
    met, width = met[inside], width[inside]
    if not len(met):
        return None
    # What is met within a rounding of what was met before is met together with it.
    apart = (np.diff(met["cell"]) > 0) | (np.diff(met["share"]) * width[1:] > least)
    return Cuts(n, node, guard, met[np.append(True, apart)])


def _met(first: Array, last: Array, low: Array, high: Array, at: int) -> Array:
    """Guards that are passed at one end of the cells, one of each unit: array of `MET`.

    Of the guards of a unit that one counts which is met nearest to the point asked.
    """
    value = last if at else first
    passed = np.nonzero((value > high) | (value < low))
    bound = np.where(value[passed] > high[passed], high[passed], low[passed])
    start, end = first[passed], last[passed]
    met = np.empty(len(bound), MET)
    met["cell"], met["unit"], met["rival"] = passed
    with np.errstate(divide="ignore", invalid="ignore"):
        met["share"] = (bound - start) / (end - start)
    # What does not move over the cell is beyond its bound by rounding alone.
    met = met[start != end]
    near = met["share"] if at else -met["share"]
    met = met[np.lexsort((near, met["unit"], met["cell"]))]
    other = (np.diff(met["cell"]) > 0) | (np.diff(met["unit"]) != 0)
    return met[np.append(True, other)[: len(met)]]
