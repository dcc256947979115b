"""The ends of a path: what the model is there, and what it jumps at once on the way.

At an input that lies on a jump (a number on the edge between two steps) the model itself has one
side of it, and the path may leave on the other. Then F jumps at that very end.
"""

from __future__ import annotations

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import ResidualError
from onnxlin.operators.pieces import CONTINUOUS
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.roundoff import unit_roundoff
from onnxlin.program.sweep import reach
from onnxlin.readings.path.carve import ROUNDINGS
from onnxlin.readings.region.walls import Unit, Wall, make_walls, rates


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
    walls = [w for w in make_walls(program, x) if w.decision.node.op_type not in CONTINUOUS]
    found = rates(program, walls, move)
    reads = {name for wall in walls for name, _ in wall.bounds.terms}
    values = program.forward(x, reads)
    sizes = {name: np.abs(values[name]) for name in reads}
    met = []
    for wall in walls:
        rate = wall.bounds(found)[0]
        near = ROUNDINGS * unit * reach(wall.bounds.terms, sizes, wall.bounds.shape)
        met += [wall.unit(int(i)) for i in np.flatnonzero(_leaves(wall, rate, near))]
    return met


def _leaves(wall: Wall, rate: Array, near: Array) -> Array:
    """Which guards lie within a rounding of the bound that they move towards."""
    room = np.where(rate > 0, wall.high - wall.value, wall.value - wall.low)
    found: Array = (rate != 0) & (room <= near)
    return found


def at_end(
    m: AffineMap, value: Array, name: str, jumps: list[Unit] | None
) -> tuple[Array, Unit | None]:
    """F at an end of the path, and what jumps there: the limit on the path itself where nothing.

    Parameters
    ----------
    m : AffineMap
        At that end.
    value : array (rows,)
        Of the path, next to it.
    name : str
        Of the end.
    jumps : list of Unit or None
        See `jumps_left`; None where the two agree, and nobody has looked.

    Raises
    ------
    ResidualError
        The two differ by more than rounding, and nothing jumps.
    """
    gap, bound = np.abs(value - m.y), m.bound * m.scale
    if agree(m, value):
        return value, None
    if jumps:
        return m.y.astype(np.float64), jumps[0]
    worst = int((gap - bound).argmax())
    raise ResidualError(
        f"The walk gives {value[worst]:.9g} for row {worst} at {name}, the model "
        f"{m.y[worst]:.9g}: {gap[worst]:.2e} apart, where rounding allows {bound[worst]:.2e}, "
        f"and no jump of the model lies at {name}."
    )


def agree(m: AffineMap, value: Array) -> bool:
    """Whether the path meets the model at an end, up to what rounding allows."""
    return bool((np.abs(value - m.y) <= m.bound * m.scale).all())


def unit_of(m: AffineMap) -> float:
    """Unit roundoff of the numbers that a model takes."""
    kinds = {value.dtype for value in m.inputs.values()}
    return max((unit_roundoff(kind) for kind in kinds), default=0.0)
