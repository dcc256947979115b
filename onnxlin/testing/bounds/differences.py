"""Central differences along one direction, with a bound that follows from step and rounding.

The step is exact: x, x + s and x - s are all numbers of the model's own type. The difference is
that of the program's own forward pass in double precision, which `AffineMap.residual` ties to
onnxruntime's F at all of these points.
"""

from __future__ import annotations

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import RowsError, TraceError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.program.rates import unit_roundoff
from onnxlin.testing.bounds.sides import Sides
from onnxlin.testing.verdicts import LawError, NotApplicable, worst

# Relative size of the steps. Double precision would allow smaller ones, float32 inputs do not.
STEPS = (2.0**-12, 2.0**-16, 2.0**-19)
TIMES = (-2, -1, 1, 2)


class KinkError(NotApplicable):
    """A kink is as near to x as the smallest step."""


def assert_tangent(lin: Linearizer, x: dict[str, Array], m: AffineMap, seed: int = 0) -> None:
    """W d is the slope of F along a random direction d, seen from x.

    Raises
    ------
    KinkError
        Where the margins say that no step stays on one side of every kink.
    """
    chosen = {name: np.asarray(x[name]) for name in lin.section.inputs}
    coarse = max(unit_roundoff(value.dtype) for value in chosen.values())
    sizes = [size for size in STEPS if size > 16 * coarse] or [4 * np.sqrt(coarse)]
    sides, compared, between = Sides(lin, x, m), None, ""
    for size in sizes:
        rng = np.random.default_rng(seed)
        steps = {name: exact_step(value, size, rng) for name, value in chosen.items()}
        ends = _ends(lin, x, steps, m, sides)
        if isinstance(ends, str):
            between = ends
        else:
            compared = _Differences(m, ends, np.concatenate([s.ravel() for s in steps.values()]))
            if compared.converged:
                break
    if compared is None:
        raise KinkError(f"a kink or a jump is nearer to x than the smallest step: {between}")
    try:
        compared.assert_agree()
    except LawError as error:
        if sides.untold:
            raise NotApplicable(f"F has jumps that can't be located: {sides.untold}") from error
        raise


def exact_step(value: Array, size: float, rng: np.random.Generator) -> Array:
    """Steps relative to each entry, such that adding them once or twice rounds nothing.

    An entry just below a power of two, where numbers get coarser, may have to stay.
    """
    wide = value.astype(np.float64)
    length = size * np.where(wide == 0, 1, np.abs(wide))
    step = length * rng.uniform(0.5, 1, wide.shape) * rng.choice([-1, 1], wide.shape)
    unit = 2 * unit_roundoff(value.dtype)
    grid = 4 * unit * 2.0 ** np.floor(np.log2(np.maximum(np.abs(wide), length)))
    step = np.rint(step / grid) * grid
    ends = [wide + times * step for times in TIMES]
    exact = np.all([end.astype(value.dtype).astype(np.float64) == end for end in ends], axis=0)
    return np.where(exact, step, 0)


def _ends(
    lin: Linearizer, x: dict[str, Array], steps: dict[str, Array], like: AffineMap, sides: Sides
) -> list[AffineMap] | str:
    """Maps at x plus `TIMES` the steps; what is in between if one of them lies beyond a kink."""
    found, lin = [], lin.steady(len(TIMES))
    for times in TIMES:
        moved = x | {
            n: (np.asarray(x[n]).astype(np.float64) + times * s).astype(x[n].dtype)
            for n, s in steps.items()
        }
        rows = like.rows.index if like.rows.matrix is None else like.rows.matrix
        try:
            end = lin(moved, rows=rows, dtype=np.float64)
        except (RowsError, TraceError):
            # The shape of the output jumps, or here ends where F is defined.
            return "the outputs have another shape there, or are no numbers"
        # Where an output has another shape, as NonZero has, rows are rows of something else.
        if end.shapes != like.shapes:
            return "the outputs have another shape there"
        if where := sides.crossed(moved, end):
            return where
        found.append(end)
    return found


class _Differences:
    """``W s`` beside ``(F(x + s) - F(x - s)) / 2`` and ``(F(x + 2 s) - F(x - 2 s)) / 4``.

    A half difference is W s plus an error that shrinks at least like the step where the slope is
    Lipschitz, and like its square where F is smooth. So the nearer one is off by at most what the
    two are apart (a third of it where F is smooth), but for terms of higher order, for which the
    same is allowed again.
    """

    def __init__(self, m: AffineMap, ends: list[AffineMap], step: Array) -> None:
        lower, low, high, higher = (end.Wx + end.b for end in ends)
        W = m.W.astype(np.float64)
        self.slope, self.near, self.far = W @ step, (high - low) / 2, (higher - lower) / 4
        self.size = np.abs(W) @ np.abs(step)
        self.rounding = sum(end.composition_bound * end.scale for end in (*ends, m))
        self.ends = ends
        self.mode = m.mode

    @property
    def converged(self) -> bool:
        """Whether terms of higher order are small, so that smaller steps would say no more."""
        return bool((np.abs(self.far - self.near) <= self.size / 32 + self.rounding).all())

    def assert_agree(self) -> None:
        """W is the derivative, and onnxruntime's F is ours at all four points, too."""
        allowed = 2 * np.abs(self.far - self.near) + self.rounding
        found = worst(self.slope, self.near, allowed)
        expected = "W s = half of F(x + s) - F(x - s), within step and rounding"
        for end in self.ends:
            if not found:
                expected = "W x' + b = F(x') as onnxruntime computes it, at x' beside x"
                found = worst(end.Wx + end.b, end.y, end.bound * end.scale)
        if found:
            departs = next((d for end in self.ends if (d := end.first_departure())), None)
            raise LawError("differences", self.mode, expected, found, departs)
