"""The linear region: the set of x' on which a map is the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Progress
from onnxlin.engines.memory import memory_budget
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.readings.region.polytope import Polytope, polytope
from onnxlin.readings.region.radius import (
    SWEEPS,
    Certificate,
    Decision,
    Radius,
    certificate,
    decisions,
    radius,
    reach,
)
from onnxlin.readings.region.walls import (
    Unit,
    Wall,
    make_walls,
    nearest,
    rates,
    read_by,
    reasons_of,
)
from onnxlin.section.numbers import flat
from onnxlin.section.options import whole

# Two guards that are met within so many roundings of the step are met together.
TOGETHER = 16 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Exit:
    """Where a ray leaves the region.

    Parameters
    ----------
    step : float
        The least t at which ``x + t * direction`` meets a guard; infinite if it never does.
    units : tuple of Unit
        The guards met there; several where they are met together.
    """

    step: float
    units: tuple[Unit, ...]


def obstacles(m: AffineMap) -> list[str]:
    """Nodes that leave a map without a linear region, and why; none if it has one."""
    return reasons_of(_decided(m))


def _decided(m: AffineMap) -> LinearProgram:
    made = m.made_from("Region").decided
    assert made is not None, "maps with a program know how to make it in float64"
    return made()


class Region:
    """The set of x' on which ``F(x') = W x' + b``, with the W and b of one map.

    Every node with kinks is one affine piece at x, and that piece holds while some affine functions
    of its inputs, the guards, stay within bounds: ``z >= 0`` of a live ReLU, ``winner >= rival`` of
    a pool window. Composed with the pieces before them the guards are affine in x, so the region
    is a polytope, with x in it.

    Guards are evaluated in float64 along the model's own numbers, under the pattern that the
    runtime chose at x. Where its float32 put a unit on the other side of a kink than float64 does,
    x lies on the border: that bound is moved to x, and `near_ties` names the unit.

    Parameters
    ----------
    m : AffineMap
        Of a piecewise-affine model, in any dtype.

    Raises
    ------
    RegionError
        With all nodes that are smooth (see `drift`) or that nobody can tell the pieces of.
    DetachedError
        The map was loaded from a file.
    """

    def __init__(self, m: AffineMap) -> None:
        self.map = m
        self.program: LinearProgram = _decided(m)
        self.walls: list[Wall] = make_walls(self.program, m.x)

    def __repr__(self) -> str:
        return f"<Region of {self.map!r}, {self.guards} guards>"

    @cached_property
    def key(self) -> str:
        """Name of the pattern: equal keys of one model mean equal W and b, in any process."""
        return self.program.pattern_key()

    @property
    def guards(self) -> int:
        """How many finite bounds there are."""
        return sum(int(np.isfinite(w.low).sum() + np.isfinite(w.high).sum()) for w in self.walls)

    def __contains__(self, x: npt.ArrayLike) -> bool:
        """Whether every guard holds at x: one pass of the pieces, no run of the model."""
        reads = read_by(wall.bounds for wall in self.walls)
        values = self.program.forward(self._flat(x), reads)
        return all(wall.holds(values) for wall in self.walls)

    def step(self, direction: npt.ArrayLike, *, ties: bool = True) -> Exit:
        """Step along a direction at which the pattern first changes, by one tangent sweep.

        ``direction : (n_in,)`` or of the input's shape. Exact, at any size of model: every guard
        is affine along the ray, ``value + t * rate``. Without ``ties`` guards that x lies on are
        passed over.
        """
        moves = rates(self.program, self.walls, self._flat(direction))
        exits = [wall.exits(moves) for wall in self.walls]
        if not ties:
            exits = [np.where(w.room > 0, e, np.inf) for w, e in zip(self.walls, exits,
                     strict=True)]  # fmt: skip
        first = min((float(e.min(initial=np.inf)) for e in exits), default=np.inf)
        if not np.isfinite(first):
            return Exit(np.inf, ())
        met = ((w, np.flatnonzero(e <= first * (1 + TOGETHER))) for w, e in zip(self.walls, exits,
               strict=True))  # fmt: skip
        return Exit(first, tuple(wall.unit(int(i)) for wall, flat in met for i in flat))

    def near_ties(self, count: int = 10) -> list[Unit]:
        """Guards with the least room, ties first, in units of their node's input.

        Guards that no x' in the region moves (a pool window of dead units) are left out.
        """
        rooms = [np.where(r > 0, w.room, np.inf) for w, r in self._moved]
        whole("count", count)
        places = nearest(self.walls, rooms, count)
        return [self.walls[w].unit(i) for w, i in places if np.isfinite(rooms[w].ravel()[i])]

    @property
    def beyond(self) -> int:
        """How many guards float64 has on the other side than the runtime: x is on the border."""
        return sum(int(np.count_nonzero(wall.widened)) for wall in self.walls)

    @property
    def ties(self) -> int:
        """How many guards x lies on, equal maxima of a window say, if x can move them at all.

        With a tie x is on the border of its region, and each radius is 0.
        """
        return sum(int(np.count_nonzero((w.room == 0) & (r > 0))) for w, r in self._moved)

    @cached_property
    def _moved(self) -> list[tuple[Wall, Array]]:
        return list(zip(self.walls, reach(self.program, self.walls), strict=True))

    def radius(
        self,
        norm: str = "l2",
        *,
        sweeps: int = SWEEPS,
        ties: bool = True,
        progress: Progress | None = None,
    ) -> Radius:
        """Distance of x from the border: the least ``room / |gradient|`` in the dual norm.

        Parameters
        ----------
        norm : {"l1", "l2", "linf"}
            In which the distance is measured.
        sweeps : int
            At most so many gradients are computed; if they are used up, the two distances found
            are bounds.
        ties : bool
            Whether guards that x lies on count; then a tie makes the radius 0.
        progress : callable, optional
            Called with (done, total); the total is an upper bound.
        """
        options: dict[str, Any] = {"sweeps": sweeps, "ties": ties, "progress": progress}
        return radius(self.program, self.walls, norm, **options)

    def decisions(self, norm: str = "l2") -> list[Decision]:
        """Distance at which each other row of the map overtakes the strongest, if W went on."""
        return decisions(self.map, norm)

    def certificate(
        self, norm: str = "l2", *, sweeps: int = SWEEPS, progress: Progress | None = None
    ) -> Certificate:
        """Radius within which the strongest row stays so: the lesser of region and decision."""
        return certificate(self.radius(norm, sweeps=sweeps, progress=progress), self.map)

    def polytope(self, *, memory: int = 2**30) -> Polytope:
        """Half-spaces ``A x' <= c``, with centre and facets; for small nets."""
        return polytope(self.program, self.walls, self.map.x, memory_budget(memory))

    def _flat(self, x: npt.ArrayLike) -> Array:
        return flat("x", x, self.map.shapes[0])
