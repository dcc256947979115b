"""How far x is from the border of its region, and from another decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.forward import column_bytes, tangents
from onnxlin.engines.job import Progress
from onnxlin.errors import RowsError
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.sweep import forth
from onnxlin.program.sweep import reach as reach_of
from onnxlin.readings.region.walls import Unit, Wall, read_by
from onnxlin.section.options import one_of, whole

DUAL = {"l1": np.inf, "l2": 2, "linf": 1}
"""Norm of x -> order of the norm of gradients that is dual to it."""

SWEEPS = 20_000
CHUNK = 16
AT_ONCE = 8 * 2**20
"""Bytes that as many gradients or columns take as go at once, if one takes no more: of CHUNK."""
A_GUARD = 240
"""Bytes that a guard takes: values, bounds, ranks. Nets of 10,000 to 190,000 took 185 to 226."""
TRIED = 8
"""One in so many features: gradients that are computed before all columns may be."""


@dataclass(frozen=True)
class Radius:
    """Distance from x to the nearest wall of its region.

    Parameters
    ----------
    norm : {"l1", "l2", "linf"}
    lower, upper : float
        Equal if ``exact``. Else no guard is nearer than ``lower``, and one is met at ``upper``.
    exact : bool
    unit : Unit or None
        Whose guard is met at ``upper``; None if no guard can ever be met.
    direction : array (n_in,) or None
        Of length 1 in that norm: ``x + upper * direction`` lies on the wall.
    sweeps : int
        How many gradients were computed, and columns of tangents.
    """

    norm: str
    lower: float
    upper: float
    exact: bool
    unit: Unit | None
    direction: Array | None
    sweeps: int


@dataclass(frozen=True)
class Decision:
    """A rival of the strongest row, and the distance at which it would draw level."""

    row: int
    distance: float


@dataclass(frozen=True)
class Certificate:
    """Within ``radius`` of x the strongest row stays the strongest, proved by the map alone."""

    norm: str
    radius: float
    region: Radius
    decision: Decision | None


def require_norm(norm: str) -> float:
    """Return the order of the dual norm."""
    return DUAL[one_of("norm", norm, list(DUAL))]


def radius(
    program: LinearProgram,
    walls: Sequence[Wall],
    norm: str = "l2",
    *,
    sweeps: int = SWEEPS,
    ties: bool = True,
    progress: Progress | None = None,
) -> Radius:
    """Distance from x to the nearest guard: the least ``room / |gradient|`` in the dual norm.

    Guards are visited in the order of a lower bound of their distance, ``room / reach``. Here
    ``reach`` is one sweep of absolute matrices over ones: it bounds the norm of every gradient,
    ``|g_i| <= sum over k of |A_ik| |g_k|``. As soon as the best distance found is below the next
    lower bound, it is exact; after ``sweeps`` gradients the two are returned as bounds. In a deep
    net lower bounds are far too low. Where more guards than x has features are left before it, all
    columns of x are pushed forward instead, which measures each guard's gradient.

    Source: Lee, Alvarez-Melis, Jaakkola, "Towards Robust, Locally Linear Deep Networks", ICLR 2019.

    Parameters
    ----------
    norm : {"l1", "l2", "linf"}
        In which the distance is measured.
    sweeps : int
        At most so many gradients and columns are computed.
    ties : bool
        Whether guards that x lies on count; then a tie makes the radius 0.
    progress : callable, optional
        Called with (done, total); the total is an upper bound.
    """
    order = require_norm(norm)
    whole("sweeps", sweeps, 1)
    places, floors = _ranked(program, walls)
    if not ties:
        first = int(np.searchsorted(floors, 0.0, side="right"))
        places, floors = places[first:], floors[first:]
    search, done, columns = Search(program, walls, order), 0, program.columns
    for start, wall, flat in _chunks(places, walls, _at_once(program, walls)):
        if floors[start] >= search.best or start >= sweeps:
            break
        nearer = int(np.searchsorted(floors, search.best)) - start
        if start >= columns // TRIED and nearer > columns and start + columns <= sweeps:
            search.measure(places, progress)
            floors, done = floors[:0], start + columns
            break
        search.look(wall, flat)
        done = start + len(flat)
        if progress is not None:
            progress(done, min(len(floors), sweeps))
    rest = float(floors[done]) if done < len(floors) else np.inf
    best, lower = search.best, min(search.best, rest)
    direction = None if search.slope is None else steepest(search.slope, norm)
    return Radius(norm, lower, best, lower == best, search.unit, direction, done)


class Search:
    """For the guard that is nearest to x, and what is known of it."""

    def __init__(self, program: LinearProgram, walls: Sequence[Wall], order: float) -> None:
        self._program, self._walls, self._order = program, walls, order
        self.best = np.inf
        self.unit: Unit | None = None
        self.slope: Array | None = None

    def look(self, wall: Wall, flat: Array) -> None:
        """Compute gradients of some guards of a wall."""
        grads = wall.pull(self._program, flat)
        sizes = np.linalg.norm(grads, ord=self._order, axis=1)
        found = _distances(wall.room.ravel()[flat], sizes)
        nearest = int(found.argmin())
        if found[nearest] < self.best:
            at = int(flat[nearest])
            self.best, self.unit = float(found[nearest]), wall.unit(at)
            self.slope = grads[nearest] * _outward(wall, at)

    def measure(self, places: Array, progress: Progress | None) -> None:
        """Find the nearest of all guards at these places, by columns; compute its gradient."""
        sizes = _sizes(self._program, self._walls, self._order, progress)
        each = [_distances(w.room.ravel(), s) for w, s in zip(self._walls, sizes, strict=True)]
        found = np.array([each[i][flat] for i, flat in places])
        i, flat = places[int(found.argmin())]
        self.look(self._walls[i], np.array([flat]))


def _distances(room: Array, sizes: Array) -> Array:
    """``room / size``, infinite for what x cannot move."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sizes > 0, room / sizes, np.inf)


def _sizes(
    program: LinearProgram, walls: Sequence[Wall], order: float, progress: Progress | None
) -> list[Array]:
    """Norms of the gradients of all guards, flat: columns of the inputs are pushed to them."""
    wanted = read_by(wall.bounds for wall in walls)
    found = [np.zeros(wall.value.size) for wall in walls]
    most = _at_once(program, walls)
    for start in range(0, program.columns, most):
        count = min(most, program.columns - start)
        moved = tangents(program, np.eye(count, program.columns, start, program.dtype), wanted)
        for size, wall in zip(found, walls, strict=True):
            rates = np.abs(wall.bounds(moved)).reshape(count, -1)
            if order == np.inf:
                np.maximum(size, rates.max(axis=0), out=size)
            else:
                np.add(size, (rates**order).sum(axis=0), out=size)
        if progress is not None:
            progress(start + count, program.columns)
    return [np.sqrt(size) if order == 2 else size for size in found]


def _outward(wall: Wall, flat: int) -> int:
    value = wall.value.ravel()[flat]
    up = wall.high.ravel()[flat] - value <= value - wall.low.ravel()[flat]
    return 1 if up else -1


def steepest(gradient: Array, norm: str) -> Array:
    """Direction of length 1 in a norm along which a linear function grows fastest."""
    if norm == "l2":
        return gradient / np.linalg.norm(gradient)
    if norm == "linf":
        return np.sign(gradient)
    unit = np.zeros_like(gradient)
    at = int(np.abs(gradient).argmax())
    unit[at] = np.sign(gradient[at])
    return unit


def _ranked(program: LinearProgram, walls: Sequence[Wall]) -> tuple[Array, Array]:
    """Places (wall, flat index) of all finite guards by their lower bounds, and those bounds."""
    bounds = reach(program, walls)
    places, floors = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for i, (wall, size) in enumerate(zip(walls, bounds, strict=True)):
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = np.where(size > 0, wall.room / size, np.inf).ravel()
        (flat,) = np.nonzero(np.isfinite(floor))
        places.append(np.stack([np.full(len(flat), i), flat], axis=1))
        floors.append(floor[flat])
    place, floor = np.concatenate(places), np.concatenate(floors)
    order = np.argsort(floor, kind="stable")
    # Sums of absolute numbers round as well: a bound must stay below.
    return place[order], floor[order] * (1 - 1e-9)


def reach(program: LinearProgram, walls: Sequence[Wall]) -> list[Array]:
    """Bound the l1, l2 and linf norm of every guard's gradient, by one absolute sweep."""
    ones = {name: np.ones(shape) for name, shape in program.inputs.items()}
    wanted = read_by(wall.bounds for wall in walls)
    sizes = forth(program.steps, ones, lambda s, found: reach_of(s.terms, found, s.shape), wanted)
    return [wall.reach(sizes) for wall in walls]


def _at_once(program: LinearProgram, walls: Sequence[Wall]) -> int:
    """How many gradients, or columns, are computed at once."""
    return min(max(AT_ONCE // _each(program, walls), 1), CHUNK)


def _each(program: LinearProgram, walls: Sequence[Wall]) -> int:
    """Bytes of one: all that it holds at its widest, and what the walls read."""
    shapes = {**program.inputs, **{step.output: step.shape for step in program.steps}}
    wanted = read_by(wall.bounds for wall in walls)
    read = sum(prod(shapes[name]) for name in wanted if name in shapes)
    return max(column_bytes(program) + read * program.dtype.itemsize, 1)


def radius_bytes(program: LinearProgram, walls: Sequence[Wall]) -> int:
    """Bytes that walls and the search for a radius take."""
    guards = sum(wall.value.size for wall in walls)
    return A_GUARD * guards + _at_once(program, walls) * _each(program, walls)


def _chunks(places: Array, walls: Sequence[Wall], most: int) -> Iterator[tuple[int, Wall, Array]]:
    """Guards of one wall that follow one another, a few at a time: ``(start, wall, flat)``."""
    start = 0
    while start < len(places):
        near = places[start : start + most]
        same = near[:, 0] == near[0, 0]
        count = len(near) if same.all() else int(same.argmin())
        yield start, walls[int(near[0, 0])], near[:count, 1]
        start += count


def decisions(m: AffineMap, norm: str = "l2") -> list[Decision]:
    """Distance at which each other row draws level with the strongest, nearest first.

    ``(f_top - f_j) / |W_top - W_j|`` in the dual norm, with f = W x + b. Exact where it is no
    larger than the radius of the region.
    """
    order = require_norm(norm)
    if len(m.rows) < 2:
        raise RowsError(f"The map has {len(m.rows)} row; a decision needs two. Ask for more rows=.")
    W, f = m.W.astype(np.float64), m.Wx + m.b
    top = int(f.argmax())
    slopes = np.linalg.norm(W[top] - W, ord=order, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.where(slopes > 0, (f[top] - f) / slopes, np.inf)
    ranked = [int(i) for i in np.argsort(gaps, kind="stable") if i != top]
    return [Decision(i, float(gaps[i])) for i in ranked]


def certificate(region: Radius, m: AffineMap) -> Certificate:
    """Take the lesser of a region's (lower) radius and of the nearest decision."""
    nearest = decisions(m, region.norm)[0] if len(m.rows) > 1 else None
    limit = min(region.lower, nearest.distance if nearest else np.inf)
    return Certificate(region.norm, limit, region, nearest)
