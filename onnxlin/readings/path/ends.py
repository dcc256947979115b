"""The ends of a path: what the model is there, and what it jumps at once on the way.

At an input that lies on a jump (a number on the edge between two steps) the model itself has one
side of it, and the path may leave on the other. Then F jumps at that very end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import ResidualError
from onnxlin.operators.pieces import CONTINUOUS
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.program.sweep import reach
from onnxlin.readings.path.between import Walk
from onnxlin.readings.path.carve import ROUNDINGS
from onnxlin.readings.region.walls import Unit, Wall, make_walls, rates

# Where on a piece the model is run.
PLACES = (0.5, 0.3, 0.7)


def jumps_left(program: LinearProgram, x: Array, move: Array, unit: float) -> list[Unit]:
    """Guards of nodes that jump that x lies on, as far as its numbers can tell, and a move passes.

    Parameters
    ----------
    program : LinearProgram
        At x, as the runtime decided there.
    move : array (columns,)
        Where the path goes.
    unit : float
        Unit roundoff of the model's numbers.
    """
    walls = make_walls(program, x)
    found = rates(program, walls, move)
    reads = {name for wall in walls for name, _ in wall.bounds.terms}
    values = program.forward(x, reads)
    sizes = {name: np.abs(values[name]) for name in reads}
    met: list[Unit] = []
    beside: list[Unit] = []
    bent = False
    for wall in walls:
        rate = wall.bounds(found)[0]
        near = ROUNDINGS * unit * reach(wall.bounds.terms, sizes, wall.bounds.shape)
        leaves = _leaves(wall, rate, near)
        if wall.decision.node.op_type in CONTINUOUS:
            bent = bent or bool(leaves.any())
            continue
        met += [wall.unit(int(i)) for i in np.flatnonzero(leaves)]
        beside += [wall.unit(int(i)) for i in np.flatnonzero(wall.room <= near)]
    # Behind a kink that the path leaves as well, the slopes at x are not those of the path.
    return met or (beside if bent else [])


def _leaves(wall: Wall, rate: Array, near: Array) -> Array:
    """Which guards lie within a rounding of the bound that they move towards."""
    room = np.where(rate > 0, wall.high - wall.value, wall.value - wall.low)
    found: Array = (rate != 0) & (room <= near)
    return found


@dataclass(frozen=True, eq=False)
class End:
    """One end of a path, and the piece next to it.

    Parameters
    ----------
    name : str
    m : AffineMap
        At that end.
    t : (float, float)
        Where the piece begins and ends, seen from this end.
    line : array (2, rows)
        F there, as the path has it.
    move : array (columns,)
        From this end to the other.
    """

    name: str
    m: AffineMap
    t: tuple[float, float]
    line: Array
    move: Array

    def value(self, road: Walk) -> tuple[Array, Unit | None]:
        """F at the end, and what jumps there: the limit on the path itself where nothing does.

        Raises
        ------
        ResidualError
            The two differ by more than rounding, and nothing jumps; or the piece is not the
            model's further on either.
        """
        m = self.m
        if agree(m, self.line[0]):
            return self.line[0], None
        jumps = jumps_left(road.program_at(m.x), m.x, self.move, unit_of(m))
        if not jumps:
            raise self._error(
                self.line[0], m, self.name, f"no jump of the model lies at {self.name}"
            )
        self._require_piece(road)
        return m.y.astype(np.float64), jumps[0]

    def _require_piece(self, road: Walk) -> None:
        """Run the model at points of the piece: on one of them at least the two must meet."""
        m, (start, stop) = self.m, self.t
        rows = m.rows.index if m.rows.matrix is None else m.rows.matrix
        for share in PLACES:
            t = start + share * (stop - start)
            if abs(t - start) * min(share, 1 - share) <= self._blur(m):
                return  # the piece is narrower than x rounds, so no run is sure to be on it
            x = m.x + abs(t - start) * self.move
            other, line = road.map_at(x, rows), self.line[0] + share * (self.line[1] - self.line[0])
            if (np.abs(line - other.y) <= self._allowed(other, x)).all():
                return
        raise self._error(line, other, f"t = {t:.9g}", "no run on the piece next to it is there")

    def _allowed(self, other: AffineMap, x: Array) -> Array:
        """What rounding allows: the model's, that of x, and that of points between two ends."""
        W = np.abs(other.W.astype(np.float64))
        between = W @ (np.abs(self.m.x) + np.abs(self.move)) + np.abs(self.line).sum(axis=0)
        own = gamma(2 * ROUNDINGS, unit_roundoff(np.dtype(np.float64))) * between
        found: Array = other.bound * other.scale + W @ np.abs(other.x - x) + own
        return found

    def _blur(self, m: AffineMap) -> float:
        """How far in t the roundings of x take the entry that moves least."""
        moves = self.move != 0
        blur = ROUNDINGS * unit_of(m) * np.abs(m.x[moves] / self.move[moves])
        return float(blur.max(initial=0.0))

    def _error(self, value: Array, m: AffineMap, place: str, why: str) -> ResidualError:
        gap, bound = np.abs(value - m.y), m.bound * m.scale
        worst = int((gap - bound).argmax())
        return ResidualError(
            f"The walk gives {value[worst]:.9g} for row {worst} at {place}, the model "
            f"{m.y[worst]:.9g}: {gap[worst]:.2e} apart, where rounding allows "
            f"{bound[worst]:.2e}, and {why}."
        )


def agree(m: AffineMap, value: Array) -> bool:
    """Whether the path meets the model at an end, up to what rounding allows."""
    return bool((np.abs(value - m.y) <= m.bound * m.scale).all())


def unit_of(m: AffineMap) -> float:
    """Unit roundoff of the numbers that a model takes."""
    kinds = {value.dtype for value in m.inputs.values()}
    return max((unit_roundoff(kind) for kind in kinds), default=0.0)
