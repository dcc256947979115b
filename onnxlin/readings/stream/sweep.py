"""One adjoint sweep that reads a map at every tensor asked: ``F = W_h h + b_h`` at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import TINY, AffineMap
from onnxlin.engines.job import Job, dot
from onnxlin.engines.reverse import charging, constant_shares
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.primitives import Shape
from onnxlin.program import Step
from onnxlin.program.rates import gamma, smallest, unit_roundoff
from onnxlin.program.roundoff import Charges
from onnxlin.readings.checks import UNIT, of_outputs, require_equal, size_of

Fold = Callable[[Array], Array]
"""Adds up entries that belong together: ``(k, *shape of a tensor) -> (k, *places)``."""
Seen = Callable[[Step, slice, Array], None]
"""Is told what each bias brings to which rows."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A map cut at one tensor.

    Parameters
    ----------
    values : array (K, *places)
        ``W_h h``, added up over what belongs together.
    rest, scale, bound : array (K,)
        ``b_h``; what adds up to a row; what rounding behind the tensor may do to it.
    """

    values: Array
    rest: Array
    scale: Array
    bound: Array

    @property
    def total(self) -> Array:
        """``W_h h + b_h``, ``(K,)``."""
        found: Array = self.values.reshape(len(self.values), -1).sum(axis=1) + self.rest
        return found


class Sweep:
    """What one sweep adds up on its way from the outputs to x.

    Parameters
    ----------
    m : AffineMap
    seeds : Seeds
        Rows of m.
    folds : {tensor: Fold}
        Where the map is cut, all of them tensors that every path goes through.
    inputs : bool
        Whether it is to be read at x, too: see `at_inputs`.
    """

    def __init__(
        self, m: AffineMap, seeds: Seeds, folds: Mapping[str, Fold], *, inputs: bool
    ) -> None:
        origin = m.made_from("a reading at hidden tensors")
        self.m, self.seeds, self.folds = m, seeds, folds
        self.program, self.values = origin.program, origin.values
        outputs, memory = of_outputs(m, seeds), origin.job.memory
        self.job = Job(self.program, outputs, memory, threads=origin.job.threads)
        self.cuts: dict[str, Cut] = {}
        shape = len(seeds), self.program.columns
        self.W = np.zeros(shape, self.program.dtype) if inputs else None
        count = len(seeds)
        self._behind = Cut(np.zeros((count, 0)), *np.zeros((3, count)))

    def run(self, seen: Seen | None = None) -> None:
        """Sweep all rows."""
        job, behind = self.job, self._behind
        for share in constant_shares(self.program, job.seeds, slice(None)).values():
            behind.rest[:] += share
        behind.scale[:] = np.abs(behind.rest)
        errors = Charges(self.program, self.values)
        for rows, step, cotangent, charged in charging(
            job, lambda step: errors(step)[:1], 1, self.W
        ):
            if step.output in self.folds:
                self._cut(step.output, rows, cotangent)
            behind.bound[rows] += charged[0]
            if step.bias is not None:
                share = dot(cotangent, step.bias)
                behind.rest[rows] += share
                behind.scale[rows] += np.abs(share)
                if seen is not None:
                    seen(step, rows, share)

    def _cut(self, name: str, rows: slice, cotangent: Array) -> None:
        """Keep what stands at a tensor, and what has been added up behind it."""
        # What nothing reads brings 0, be it infinite: padding of a pool, say.
        each = np.zeros(cotangent.shape)
        np.multiply(cotangent, self.values[name], out=each, where=cotangent != 0, dtype=np.float64)
        values = self.folds[name](each)
        if name not in self.cuts:
            count = len(self.seeds)
            places = np.zeros((count, *values.shape[1:]))
            self.cuts[name] = Cut(places, *np.zeros((3, count)))
        kept, behind = self.cuts[name], self._behind
        kept.values[rows] = values
        kept.rest[rows], kept.bound[rows] = behind.rest[rows], behind.bound[rows]
        sizes = np.abs(each).reshape(len(each), -1).sum(axis=1)
        kept.scale[rows] = behind.scale[rows] + sizes

    def behind(self, places: Shape) -> Cut:
        """Cut at a tensor that no row reaches: nothing but what was added up behind it."""
        behind = self._behind
        values = np.zeros((len(self.seeds), *places))
        return Cut(values, behind.rest, behind.scale, behind.bound)

    def at_inputs(self, fold: Fold) -> Cut:
        """Cut at x: ``(K, n_in)``, all inputs one after the other, is what is folded."""
        assert self.W is not None
        each, behind = self.W.astype(np.float64) * self.m.x, self._behind
        scale = behind.scale + np.abs(each).sum(axis=1)
        return Cut(fold(each), behind.rest, scale, behind.bound)


@dataclass(frozen=True, eq=False)
class Proof:
    """What F(x) is held against, cut by cut.

    Parameters
    ----------
    y : array (K,)
        F(x) as onnxruntime computed it.
    scale, error_bound : array (cuts, K)
    output_size : array (K,)
    """

    y: Array
    scale: Array
    error_bound: Array
    output_size: Array


def proved(
    m: AffineMap, seeds: Seeds, cuts: Sequence[Cut], names: Sequence[str], entries: int
) -> Proof:
    """Hold every cut against F(x), within what rounding behind it may do.

    Parameters
    ----------
    names : sequence of str
        Of the cuts, for the message.
    entries : int
        Of the largest tensor that was added up.

    Raises
    ------
    ResidualError
        A cut misses F(x) by more than rounding allows.
    """
    scale = np.stack([cut.scale for cut in cuts]) + TINY
    bound = np.stack([cut.bound for cut in cuts])
    # Adding up the entries, then the places and the nodes, in float64.
    terms = entries + len(m.made_from("a reading").program.steps) + 4
    summing = gamma(terms, UNIT) * scale
    sure = np.nan_to_num(bound, nan=np.inf, posinf=np.inf) + summing
    y, total = seeds.apply(m.own_y), np.stack([cut.total for cut in cuts])
    size, limit = size_of(seeds, m.output_size), sure
    if not (sure <= size).all():
        likely = size_of(seeds, m.error_bound) + summing
        limit = np.where(np.abs(total - y) <= likely, np.minimum(sure, likely), sure)
    for name, one, most in zip(names, total, limit, strict=True):
        require_equal(f"W_h h + b_h at {name}", one, y, most)
    least = smallest(m.dtype) / unit_roundoff(m.dtype)
    return Proof(y, scale, limit, np.maximum(size, least))
