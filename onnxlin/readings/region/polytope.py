"""The region as half-spaces: its Chebyshev ball and its facets, for small nets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from onnxlin.errors import MemoryBudgetError, OptionError
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.readings.region.radius import CHUNK
from onnxlin.readings.region.walls import Unit, Wall

UNBOUNDED = 3
Box = tuple[float, float] | None


@dataclass(frozen=True)
class Ball:
    """The largest l2 ball inside of a region (and of a box)."""

    centre: Array
    radius: float


@dataclass(frozen=True, eq=False)
class Polytope:
    """``A x' <= c``, one row for each finite bound of each guard that x' can move.

    Parameters
    ----------
    A : scipy.sparse.csr_array (rows, n_in)
    c : array (rows,)
    units : tuple of Unit
        Whose guard each row is.
    """

    A: sp.csr_array
    c: Array
    units: tuple[Unit, ...]

    def chebyshev(self, box: Box = None) -> Ball:
        """Centre and radius of the largest ball inside, by one linear program.

        Parameters
        ----------
        box : (low, high), optional
            Bounds of every feature, pixels of 0 to 1 say; without it a region may be unbounded.

        Raises
        ------
        OptionError
            There is no largest ball.
        """
        A, c = _boxed(self.A, self.c, box)
        columns = A.shape[1]
        lengths = sp.csr_array(np.sqrt(A.power(2).sum(axis=1)).reshape(-1, 1))
        target = np.zeros(columns + 1)
        target[-1] = -1
        free = [(None, None)] * columns + [(0, None)]
        longer: Any = sp.hstack([A, lengths])
        found = linprog(target, longer, c, bounds=free, method="highs")
        if found.status == UNBOUNDED:
            raise OptionError(
                "The region is unbounded, so no ball in it is the largest. Give box=(low, high)."
            )
        if not found.success or found.x is None:
            raise OptionError(f"HiGHS found no ball in the region: {found.message}")
        return Ball(found.x[:-1], float(found.x[-1]))

    def facets(self, box: Box = None) -> Array:
        """Rows without which the region would be larger, by a linear program for each: indices.

        A row is redundant if, of all points that keep the other rows, none passes it.
        """
        A, c = _boxed(self.A, self.c, box)
        kept = np.ones(len(c), dtype=bool)
        free = (None, None)
        for i in range(len(self.c)):
            kept[i] = False
            row = A[[i]]
            # One step beyond the row keeps the program bounded.
            others: Any = sp.vstack([A[kept], row])  # its stubs want a dense one
            limits = np.append(c[kept], c[i] + 1)
            found = linprog(-row.toarray()[0], others, limits, bounds=free, method="highs")
            size = np.abs(c[i]) + float(abs(row).sum())
            kept[i] = found.fun is None or -found.fun > c[i] + 1e-9 * size
        return np.flatnonzero(kept[: len(self.c)])


def _boxed(A: sp.csr_array, c: Array, box: Box) -> tuple[sp.csr_array, Array]:
    """Add the bounds of a box as rows."""
    if box is None:
        return A, c
    low, high = box
    if not low < high:
        raise OptionError(f"box={box}; expected low < high.")
    eye = sp.eye_array(A.shape[1], format="csr")
    n = A.shape[1]
    edges = [np.full(n, high), np.full(n, -low)]
    return sp.csr_array(sp.vstack([A, eye, -eye])), np.concatenate([c, *edges])


def polytope(program: LinearProgram, walls: Sequence[Wall], x: Array, memory: int) -> Polytope:
    """Compute the gradient of every guard, and keep those that move.

    Raises
    ------
    MemoryBudgetError
        The dense rows would not fit ``memory`` bytes.
    """
    finite = [np.isfinite(w.low) | np.isfinite(w.high) for w in walls]
    need = sum(int(f.sum()) for f in finite) * program.columns * 8
    if need > memory:
        raise MemoryBudgetError(
            f"The half-spaces of this region may need {need / 2**20:,.0f} MiB; memory="
            f"{memory / 2**20:,.0f} MiB. Raise memory=, or use step() and radius()."
        )
    rows, limits, units = [sp.csr_array((0, program.columns))], [np.zeros(0)], []
    for wall, mask in zip(walls, finite, strict=True):
        flat = np.flatnonzero(mask)
        for start in range(0, len(flat), CHUNK):
            part = flat[start : start + CHUNK]
            grads = wall.pull(program, part)
            moving = np.abs(grads).max(axis=1, initial=0.0) > 0
            for bound, sign in ((wall.high, 1.0), (wall.low, -1.0)):
                room = sign * (bound.ravel()[part] - wall.value.ravel()[part])
                kept = moving & np.isfinite(room)
                rows.append(sp.csr_array(sign * grads[kept]))
                limits.append(room[kept] + sign * grads[kept] @ x)
                units += [wall.unit(int(i)) for i in part[kept]]
    return Polytope(sp.csr_array(sp.vstack(rows)), np.concatenate(limits), tuple(units))
