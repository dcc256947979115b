"""What rounding may make of |F(x) - (W x + b)|, in units of the outputs (docs/exactness.md).

Two bounds, and for each row the one that decides it. The sure one takes the worst case of every
rounding, by sweeps over the rows. The likely one takes roundings as independent, by noise that is
pushed through the program once for all rows. A row that keeps the likely one keeps the sure one, as
it is larger: so the likely one may let pass what is within it, and never refuses anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.verdict import Doubt
from onnxlin.engines.noise import FACTOR, deviations_of_rows
from onnxlin.engines.reverse import charge, sweep
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program.roundoff import charges, charges_of_both, spread
from onnxlin.program.underflow import underflow

# Sums of independent roundings are past 8 deviations with a probability below 2 exp(-32), 3e-14.
SIGMAS = 8.0
# Sweeps for so many rows cost no more than the draws of noise.
FEW = 32
# The likely bound is at most so many times the sure one.
LARGER = SIGMAS * FACTOR


@dataclass(frozen=True, eq=False)
class Bounds:
    """What rounding may make of the two residuals of a map.

    Parameters
    ----------
    origin : Origin
    size : array (n_rows,)
        Of F: a bound within it decides.
    summing : array (n_rows,)
        What adding up W x + b in float64 may bring.
    """

    origin: Origin
    size: Array
    summing: Array

    def of_run(self, error: Array) -> Array:
        """Bound errors ``(n_rows,)`` against the run: its roundings and those of composing."""
        return self._bound(0, error)

    def of_composing(self, error: Array) -> Array:
        """Bound errors ``(n_rows,)`` against the program's own forward pass in float64."""
        return self._bound(1, error)

    def _bound(self, kind: int, error: Array) -> Array:
        if len(error) <= FEW:
            sure = self._sure_of_all[kind]
            likely = np.full(len(error), np.inf)
            if not (sure <= self.size).all():
                likely = self._likely(kind)
        else:
            likely = self._likely(kind)
            sure = np.full(len(error), np.inf)
            # A larger one cannot be sure to decide either.
            open_ = (error > likely) | ((likely > self.size) & (likely <= LARGER * self.size))
            open_ |= ~np.isfinite(error)
            rows = np.flatnonzero(open_)
            if rows.size:
                sure[rows] = self._sure(rows)[kind]
        return np.where(error <= likely, np.minimum(likely, sure), sure) + self._beside

    @cached_property
    def _beside(self) -> Array:
        """What is added to either."""
        smallest = float(self.size.min(initial=np.inf))
        return self.summing + underflow(self.origin.program, self.origin.values, smallest)

    @cached_property
    def _sure_of_all(self) -> Array:
        return self._sure(np.arange(len(self.size)))

    def _sure(self, rows: Array) -> Array:
        """Worst cases of some rows: (2, len(rows))."""
        job = self.origin.job
        seeds = job.seeds if len(rows) == len(job.seeds) else some_of(job.seeds, rows)
        return charge(replace(job, seeds=seeds), *self._worst)

    @cached_property
    def _worst(self) -> tuple[dict[str, Array], dict[str, Array]]:
        return charges_of_both(self.origin.program, self.origin.values)

    @cached_property
    def _deviations(self) -> tuple[dict[str, Array], dict[str, Array]]:
        return charges_of_both(self.origin.program, self.origin.values, spread)

    def _likely(self, kind: int) -> Array:
        return SIGMAS * deviations_of_rows(self.origin.job, self._deviations[kind])


def some_of(seeds: Seeds, rows: Array) -> Seeds:
    """Return some of the rows asked."""
    index, matrix = seeds.index, seeds.matrix
    return Seeds(
        seeds.size,
        None if index is None else index[rows],
        None if matrix is None else matrix[rows],
    )


def doubt(origin: Origin, row: int) -> Doubt | None:
    """Name the node that brings in the largest part of the sure bound of a row; None if it is 0."""
    seeds = some_of(origin.job.seeds, np.array([row]))
    errors = charges(origin.program, origin.values, native=True)
    parts: dict[tuple[str, str], float] = {}
    for step, cotangent in sweep(origin.program, seeds, slice(0, 1), None):
        error = np.broadcast_to(errors[step.output], step.shape).astype(np.float64)
        size = np.abs(cotangent[0].astype(np.float64))
        # 0 times infinity is 0 here; so is what nobody can tell infinite.
        with np.errstate(invalid="ignore", over="ignore"):
            part = np.where((size == 0) | (error == 0), 0.0, size * error).sum()
        key = step.node.name, step.node.op_type
        parts[key] = parts.get(key, 0.0) + float(np.nan_to_num(part, nan=np.inf, posinf=np.inf))
    largest = max(parts, key=lambda key: parts[key], default=None)
    if largest is None or not parts[largest]:
        return None
    whole = sum(parts.values())
    share = parts[largest] / whole if np.isfinite(whole) else 1.0
    return Doubt(*largest, share)
