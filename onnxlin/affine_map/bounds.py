"""What rounding may make of |F(x) - (W x + b)|, in units of the outputs (docs/exactness.md).

Two bounds, and for each row the one that decides it. The sure one takes the worst case of every
rounding, by sweeps over the rows. The likely one takes roundings as independent, by noise that is
pushed through the program once for all rows. A row that keeps the likely one keeps the sure one, as
it is larger: so the likely one may let pass what is within it, and never refuses anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from onnxlin.affine_map.joined import Joined
from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.verdict import Doubt
from onnxlin.engines.cuts import Cut
from onnxlin.engines.memory import WORTH_IT, enough, mib
from onnxlin.engines.noise import (
    DRAWS,
    FACTOR,
    deviations_by_sweeps,
    deviations_of_rows,
    weighed_by_sweeps,
)
from onnxlin.engines.reverse import charge_each, left, risen, sweep
from onnxlin.engines.seeds import some_of
from onnxlin.errors import MemoryBudgetError
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.rates import spread
from onnxlin.program.roundoff import Charges, charges
from onnxlin.program.sizes import is_kept, sizes
from onnxlin.program.underflow import underflow
from onnxlin.program.witness import made_by_rounding

# Sums of independent roundings are past 8 deviations with a probability below 2 exp(-32), 3e-14.
SIGMAS = 8.0
# Sweeps for so many rows cost about as much as the draws of noise; so many multiplications cost no
# more than a second, and worst cases of small nets are smaller than likely ones of all.
FEW, CHEAP = 32, 2**30
# Multiplications for each entry of a step, from which on both bounds are made in one sweep.
HEAVY = 64
# A bound that leaves no digit of F is worth another look, if it decides or not.
COARSE = 0.1
# What was measured explains every difference by its nature: it decides only where it leaves two
# digits of F.
DIGITS = 0.01
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
    scale : array (n_rows,)
        What the residual is relative to.
    summing : array (n_rows,)
        What adding up W x + b in float64 may bring.
    anew : bool
        Whether a compiled graph has made the map, by kernels of its own.
    cut : Cut, optional
        By which the map was made in two halves.
    """

    origin: Origin
    size: Array
    scale: Array
    summing: Array
    anew: bool
    cut: Cut | None = None

    def of_run(self, error: Array, y: Array) -> Array:
        """Bound errors ``(n_rows,)`` against the run: its roundings and those of composing.

        Parameters
        ----------
        y : array (n_rows,)
            F(x) that the errors are against. A compiled graph computes it by a run of its own.
        """
        found = self._bound(0, error)
        open_ = (error <= found) & ~(found <= np.minimum(COARSE * self.size, self.scale))
        if not open_.any():
            return found
        return np.where(open_, np.minimum(found, self._measured(error, y)), found)

    def of_composing(self, error: Array) -> Array:
        """Bound errors ``(n_rows,)`` against the program's own forward pass in float64."""
        return self._bound(1, error)

    def _measured(self, error: Array, y: Array) -> Array:
        """Return what rounding made of this run, with a bound of composing; infinite if not all."""
        program, values, job = self.origin.program, self.origin.values, self.origin.job
        made = np.abs(job.seeds.apply(made_by_rounding(program, values)))
        # What is measured is rounded in float64, twice, which is no more than composing is.
        found = made + 3 * self._bound(1, np.zeros(len(error)))
        apart = np.abs(y - job.seeds.apply(program.output(values)))
        # Another run than the traced one is a witness where it is no further off than that.
        found += np.minimum(apart, found)
        return np.where((error <= found) & (found <= DIGITS * self.size), found, np.inf)

    def _bound(self, kind: int, error: Array) -> Array:
        few = is_cheap(self.origin, len(error))
        likely = sure = np.full(len(error), np.inf)
        if few:
            sure = self._sure_of_all[kind]
        if not few or not (sure <= COARSE * self.size).all():
            likely = self._likely(kind)
        if not few:
            # Where the likely one is far too large the sure one cannot decide either.
            rows = np.flatnonzero(
                ~(error <= likely) | ((likely > self.size) & (likely <= LARGER * self.size))
            )
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
        every = np.arange(len(self.size))
        if not self._heavy:
            return self._sure(every)
        found = self._at_once[0]
        return found if self._joined is None else found + self._joined.sure(every)

    @cached_property
    def _heavy(self) -> bool:
        """Whether to weigh a cotangent costs nothing beside the sweep that makes it."""
        program = self.origin.program
        return program.nnz > HEAVY * sum(prod(step.shape) for step in program.steps)

    @cached_property
    def _at_once(self) -> tuple[Array, Array]:
        """Worst cases of all rows, and deviations, each (2, n_rows), without what a cut brings."""
        program, values = self.origin.program, self.origin.values
        worst = Charges(program, values, anew=self.anew)
        likely = Charges(program, values, spread, self.anew)
        return weighed_by_sweeps(self.origin.job, worst, likely, 2)

    def _sure(self, rows: Array) -> Array:
        """Worst cases of some rows: (2, len(rows))."""
        job = self.origin.job
        seeds = job.seeds if len(rows) == len(job.seeds) else some_of(job.seeds, rows)
        errors = Charges(self.origin.program, self.origin.values, anew=self.anew)
        found = charge_each(replace(job, seeds=seeds), errors, 2)
        return found if self._joined is None else found + self._joined.sure(rows)

    @cached_property
    def _joined(self) -> Joined | None:
        if self.cut is None:
            return None
        live, lower = len(self.cut.live), self.cut.lower
        return Joined(self.origin, self.cut, live <= FEW or live * lower.nnz <= CHEAP)

    @cached_property
    def _likely_ones(self) -> dict[int, Array]:
        return {}

    def _likely(self, kind: int) -> Array:
        """Likely cases of all rows: (n_rows,)."""
        if kind not in self._likely_ones:
            program, job = self.origin.program, self.origin.job
            errors = Charges(program, self.origin.values, spread, self.anew)
            cheap = is_cheap(self.origin, len(self.size))
            if cheap and self._heavy:
                made = self._at_once[1][kind]
            elif cheap:
                made = deviations_by_sweeps(job, lambda step: errors(step)[kind])
            else:
                held = deviations_bytes(program)
                hold(self.origin, held + proof_bytes(program))
                # In the map's precision: those of all steps are large together.
                each = {s.output: risen(errors(s)[kind], program.dtype) for s in program.steps}
                made = deviations_of_rows(replace(job, held=job.held + held), each)
            if self._joined is not None:
                made = made + self._joined.likely()
            self._likely_ones[kind] = SIGMAS * made
        return self._likely_ones[kind]


def hold(origin: Origin, need: int) -> None:
    """Refuse a proof that takes so many bytes beside the map, where the budget has not so many.

    What is so small that nobody misses it is let pass.

    Raises
    ------
    MemoryBudgetError
    """
    job, room = origin.job, left(origin.job)
    if need > max(room, WORTH_IT):
        there = job.memory - room
        raise MemoryBudgetError(
            f"The proof of the map needs about {mib(need)} beside W, the model and its run "
            f"({mib(there)}); memory={mib(job.memory)}. Raise memory= to {enough(there + need)}, "
            "or do without bounds and verify(): W, b and residual are there."
        )


def proof_bytes(program: LinearProgram) -> int:
    """Bytes that weighing one step takes in float64, of the step that takes most.

    Of its output there are the size, the error, the value and what that is made of; where it is a
    sum, two parts of it besides. What is kept (`onnxlin.program.sizes`) comes on top.
    """
    each = (
        (4 + 2 * (len(step.terms) > 1)) * prod(step.shape)
        + sum(op.columns for _, op in step.terms)
        + max((op.workspace for _, op in step.terms), default=0)
        for step in program.steps
    )
    remembered = (prod(step.shape) for step in program.steps if is_kept(step))
    return 8 * (max(each, default=0) + 2 * sum(remembered))


def deviations_bytes(program: LinearProgram) -> int:
    """Bytes of a number for every entry that a program computes."""
    return sum(prod(step.shape) for step in program.steps) * program.dtype.itemsize


def cancelling(origin: Origin, rows: Array) -> Array:
    """Size of all that adds up to some rows, ``sum over steps of |G| (|A| |z| + |b|)``.

    Returns
    -------
    array (len(rows),)
        0 where that would cost too many sweeps, or where it is not finite.
    """
    if not is_cheap(origin, len(rows)):
        return np.zeros(len(rows))
    seeds = some_of(origin.job.seeds, rows)
    found = charge_each(
        replace(origin.job, seeds=seeds, progress=None),
        lambda step: [sizes(step, origin.values)],
        1,
    )
    return np.where(np.isfinite(found[0]), found[0], 0.0)


def is_cheap(origin: Origin, rows: int) -> bool:
    """Whether sweeps for so many rows cost no more than noise does."""
    return _are_few(rows, origin.program.nnz)


def turns(rows: int, nnz: int) -> int:
    """About how many sweeps bounds take, of so many multiplications each: one a row, or draws."""
    return rows if _are_few(rows, nnz) else DRAWS


def _are_few(rows: int, nnz: int) -> bool:
    return rows <= FEW or rows * nnz <= CHEAP


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
