"""Cut a cell where the guards of a piece are met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnxlin.graph import Node
from onnxlin.operators.pieces import CONTINUOUS
from onnxlin.primitives import Array
from onnxlin.program.sweep import reach
from onnxlin.readings.path.asker import Piece
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.region.walls import Unit

# A guard that would cut off less than this share of the whole is within the rounding of what it
# looks at: float64 leaves 2^-52, and sums on the way take their part.
LEAST = 2.0**-40
# Roundings between a number and the edge that it is compared with: of x itself at a point of the
# way, of a product or quotient, of a sum, and of the edge.
ROUNDINGS = 4


def values_of(piece: Piece, alive: Mapping[str, Array], n: int) -> tuple[Array, Array, Array]:
    """Guards at n vertices ``(n, guards)``, and their bounds ``(guards,)``."""
    found = [b(alive).reshape(n, -1) for b in piece.bounds]
    low, high = ([getattr(b, edge).ravel() for b in piece.bounds] for edge in ("low", "high"))
    if len(found) == 1:
        return found[0], low[0], high[0]
    return np.concatenate(found, axis=1), np.concatenate(low), np.concatenate(high)


def holds(node: Node, piece: Piece, cell: Cell, least: float) -> bool:
    """Whether the piece of another cell holds all over this one."""
    if not piece.fits(cell.held):
        return False
    if not piece.bounds:
        return True
    value, low, high = values_of(piece, cell.alive, len(cell.at))
    beyond = np.maximum(low - value, value - high)
    if node.op_type not in CONTINUOUS and (beyond == 0).all(axis=0).any():
        return False  # all over the cell on a jump: the rule must say which side that is on
    if not (beyond > 0).any():
        return True
    beyond = beyond.max(axis=0)
    (over,) = np.nonzero(beyond > 0)
    # What does not move here was asked elsewhere: behind a jump it may be on the other side.
    still = np.ptp(value[:, over], axis=0) == 0
    size = float(np.abs(value[np.isfinite(value)]).max(initial=0.0))
    if (beyond[over][still] > LEAST * size).any():
        return False
    return not (_depth(value[:, over], beyond[over], cell) > least).any()


def _depth(value: Array, beyond: Array, cell: Cell) -> Array:
    """How far guards are passed, in units of the parameters: passed by / slope."""
    span = np.ptp(value, axis=0)
    size = float(np.ptp(cell.at, axis=0).max())
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = beyond * size / span
    # A guard that does not move over the cell holds as it does at the point asked.
    return np.where(span > 0, depth, 0.0)


def softened(piece: Piece, cell: Cell, weights: Array, unit: float) -> Piece:
    """Open the bounds that the point asked passes by no more than its numbers round.

    ``unit`` is the unit roundoff of the precision that the node was asked in.
    """
    found = []
    for bounds in piece.bounds:
        value = np.tensordot(weights, bounds(cell.alive), 1)
        sizes = {name: np.abs(cell.alive[name]).max(axis=0) for name, _ in bounds.terms}
        near = ROUNDINGS * unit * reach(bounds.terms, sizes, bounds.shape)
        below, above = ((bounds.low - value) > 0), ((value - bounds.high) > 0)
        low = np.where(below & (bounds.low - value <= near), -np.inf, bounds.low)
        high = np.where(above & (value - bounds.high <= near), np.inf, bounds.high)
        found.append(replace(bounds, low=low, high=high))
    return replace(piece, bounds=tuple(found))


def carve(
    cell: Cell, weights: Array, piece: Piece, node: Node, least: float
) -> tuple[Cell, list[Cell]] | None:
    """Cut off what lies beyond the guards of a piece: the cell where it holds, and the rest.

    None if nothing is left. ``weights`` of the vertices give the point asked.

    The guard met first on the way from the point asked is cut first; on a segment that leaves no
    cut that is not a border of the piece.
    """
    beyond: list[Cell] = []
    while piece.bounds:
        value, low, high = values_of(piece, cell.alive, len(cell.at))
        over = np.maximum(low - value, value - high)
        (hit,) = np.nonzero(over.max(axis=0) > 0)
        hit = hit[_depth(value[:, hit], over[:, hit].max(axis=0), cell) > least]
        if not hit.size:
            break
        centre = weights @ value[:, hit]
        guard = int(hit[_first(centre, value[:, hit], low[hit], high[hit])])
        passed = int(over[:, guard].argmax())
        up = value[passed, guard] > high[guard]
        signed = (high[guard] - value[:, guard]) if up else (value[:, guard] - low[guard])
        cause = unit_of(piece, guard, node)
        inner, outer = _clip(signed)
        if len(inner) <= cell.at.shape[1]:
            return None
        beyond.append(cell.mixed(outer, cause))
        cell = cell.mixed(inner, cause)
        weights = cell.inside()
    return cell, beyond


def _first(centre: Array, value: Array, low: Array, high: Array) -> int:
    """Which guard is met first from the point asked, with these values, to any vertex."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(value > high, (high - centre) / (value - centre), np.inf)
        below = np.where(value < low, (low - centre) / (value - centre), np.inf)
    return int(np.minimum(above, below).min(axis=0).argmin())


Mix = list[tuple[int, int, float]]


def _clip(signed: Array) -> tuple[Mix, Mix]:
    """Divide a polygon, or a segment, at a function's zero: where it is >= 0, and where <= 0."""
    n = len(signed)
    edges = [(0, 1)] if n == 2 else [(i, (i + 1) % n) for i in range(n)]
    sides: tuple[Mix, Mix] = ([], [])
    for i, j in edges:
        for side, sign in zip(sides, (1, -1), strict=True):
            if sign * signed[i] >= 0:
                side.append((i, i, 0.0))
        if signed[i] * signed[j] < 0:
            share = float(signed[i] / (signed[i] - signed[j]))
            for side in sides:
                side.append((i, j, share))
    if n == 2:
        for side, sign in zip(sides, (1, -1), strict=True):
            if sign * signed[1] >= 0:
                side.append((1, 1, 0.0))
    return sides


def unit_of(piece: Piece, guard: int, node: Node) -> Unit:
    """Name a guard by its place among those of a piece."""
    for bounds in piece.bounds:
        size = int(np.prod(bounds.shape))
        if guard < size:
            index = tuple(int(i) for i in np.unravel_index(guard, bounds.shape))
            count = len(index) - bounds.rivals
            rest = index[count:]
            rival = int(np.ravel_multi_index(rest, bounds.shape[count:])) if rest else None
            return Unit(node.name, node.op_type, bounds.what, index[:count], rival, 0.0)
        guard -= size
    raise AssertionError("a guard of no bounds")
