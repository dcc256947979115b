"""What joining the two halves of a cut may bring into W x + b, beside what one sweep would have.

``W = T L``: rows of T are the outputs', rows of L those of the cut's entries t. What
composing makes of a row of L arrives at the outputs through ``|T|``, where one sweep's arrives
through the product, in which rows may cancel. And the product itself rounds: ``gamma(n) |T| |L|``
for n entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnxlin.affine_map.origin import Origin
from onnxlin.engines.cuts import Cut
from onnxlin.engines.job import Job, dot
from onnxlin.engines.noise import deviations_by_sweeps, deviations_of_rows
from onnxlin.engines.plan import swept
from onnxlin.engines.reverse import charge_each, chunks, left, risen, sweep
from onnxlin.engines.seeds import some_of
from onnxlin.primitives import Array
from onnxlin.program import Step, finite
from onnxlin.program.rates import gamma, smallest, spread, unit_roundoff
from onnxlin.program.roundoff import Charges
from onnxlin.program.underflow import underflow

WIDE = np.dtype(np.float64)


@dataclass(frozen=True, eq=False)
class Joined:
    """Bounds of what a map by a cut has beside those of its program.

    Parameters
    ----------
    origin : Origin
        Of the map.
    cut : Cut
    cheap : bool
        Whether sweeps for all entries of the cut cost no more than noise does.
    """

    origin: Origin
    cut: Cut
    cheap: bool

    def sure(self, rows: Array) -> Array:
        """Worst cases of some rows: (len(rows),)."""
        return self._arriving(rows, self._sure, 1) + self._lost

    def likely(self) -> Array:
        """Deviations of all rows: (n_rows,)."""
        every = np.arange(len(self.origin.job.seeds))
        return self._arriving(every, self._likely, 2) + self._lost

    @cached_property
    def _job(self) -> Job:
        """The rows of the cut's entries; they are kept nowhere."""
        job = self.origin.job
        return replace(
            job, program=self.cut.lower, seeds=self.cut.seeds, progress=None, stored=True
        )

    def _arriving(self, rows: Array, errors: Array, power: int) -> Array:
        """``(|T|^power errors^power)^(1/power)``, a few rows of T at a time."""
        job, found = self.origin.job, np.zeros(len(rows))
        seeds = some_of(job.seeds, rows)
        line = max(len(self.cut.live) * job.program.dtype.itemsize, 1)
        few = max(min(left(job) // (4 * line), len(rows)), 1)
        with np.errstate(over="ignore", invalid="ignore"):
            # What overflows is beyond all bounds; what has no error brings none.
            known = np.isfinite(errors)
            weight = np.where(known, errors, 0) ** power
            for part in _parts(len(rows), few):
                upper = Job(self.cut.upper, some_of(seeds, part), job.memory, held=job.held)
                T = np.abs(swept(upper).W.astype(WIDE)) ** power
                found[part] = (T @ weight) ** (1 / power)
                found[part][(T[:, ~known] > 0).any(axis=1)] = np.inf
        return np.nan_to_num(found, nan=np.inf, posinf=np.inf)

    @cached_property
    def _x(self) -> dict[str, Array]:
        """Sizes of the inputs."""
        return {n: np.abs(self.origin.values[n].astype(WIDE)) for n in self.cut.lower.inputs}

    @property
    def _lost(self) -> float:
        """What products of entries that are smaller than the smallest number may bring."""
        size = sum(float(x.sum()) for x in self._x.values())
        return len(self.cut.live) * smallest(self.origin.program.dtype) * size

    @cached_property
    def _underflow(self) -> float:
        return underflow(self.cut.lower, self.origin.values)

    @cached_property
    def _sure(self) -> Array:
        """Worst cases of the entries of the cut, their rows' part in the product with them."""
        job, count = self._job, len(self.cut.live)
        charges = Charges(job.program, self.origin.values)
        composed = charge_each(job, lambda step: [charges(step)[1]], 1)[0]
        sizes, biases = self._sizes()
        joined = gamma(count, unit_roundoff(job.program.dtype)) * sizes
        found: Array = composed + joined + gamma(count, unit_roundoff(WIDE)) * biases
        return found + self._underflow

    def _sizes(self) -> tuple[Array, Array]:
        """``|L| |x|``, and of the shares of b, for each entry of the cut."""
        job, x = self._job, np.concatenate([x.ravel() for x in self._x.values()])
        sizes, biases = np.zeros(len(job.seeds)), np.zeros(len(job.seeds))
        for rows in chunks(job):
            W = np.zeros((min(rows.stop, len(sizes)) - rows.start, len(x)), job.program.dtype)
            for step, cotangent in sweep(job.program, job.seeds, rows, W):
                if step.bias is not None:
                    biases[rows] += np.abs(dot(cotangent, step.bias))
            sizes[rows] = np.abs(W).astype(WIDE) @ x
        return sizes, biases

    @cached_property
    def _likely(self) -> Array:
        """Deviations of the entries of the cut, likewise."""
        job, count = self._job, len(self.cut.live)
        charges = Charges(job.program, self.origin.values, spread)
        # As in a sweep: products of so many are at most so many times the root of their squares.
        once = [
            spread(count, unit_roundoff(kind)) * count**0.5 for kind in (job.program.dtype, WIDE)
        ]
        each = {name: once[0] * x for name, x in self._x.items()}

        def deviation(step: Step) -> Array:
            own = np.asarray(charges(step)[1])
            return own if step.bias is None else own + once[1] * np.abs(finite(step.bias))

        if self.cheap:
            found = deviations_by_sweeps(job, deviation)
            return np.hypot(found, once[0] * self._sizes()[0]) + self._underflow
        each |= {step.output: deviation(step) for step in job.program.steps}
        each = {name: risen(size, job.program.dtype) for name, size in each.items()}
        return deviations_of_rows(job, each) + self._underflow


def _parts(total: int, size: int) -> Iterator[Array]:
    return (np.arange(i, min(i + size, total)) for i in range(0, total, size))
