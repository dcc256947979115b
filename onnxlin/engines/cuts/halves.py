"""Rows of W by a cut: one sweep of each half, and a product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnxlin.engines.cuts.find import Cut
from onnxlin.engines.job import AT_ONCE, Engine, Job, Progress, Solution
from onnxlin.engines.reverse import line
from onnxlin.engines.seeds import Seeds, some_of
from onnxlin.errors import MemoryBudgetError
from onnxlin.primitives import Array


@dataclass(frozen=True, eq=False)
class Sweeper:
    """What sweeps a half.

    Parameters
    ----------
    name : str
        Of the engine; "" where each job has its own.
    engine : Engine
    estimate : callable
        Bytes that it takes in all for a job; it may raise MemoryBudgetError.
    standing : int
        Bytes that stay when it is done.
    notes : tuple of str
        What it has to say of itself.
    """

    name: str
    engine: Engine
    estimate: Callable[[Job], int]
    standing: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Halves:
    """How the rows of a job are computed by a cut.

    Parameters
    ----------
    job : Job
        Of all rows.
    cut : Cut
    above, below : Sweeper
        Of the rows asked as far as the cut's tensors, and of those.
    """

    job: Job
    cut: Cut
    above: Sweeper
    below: Sweeper

    @property
    def kept(self) -> int:
        """Bytes of the rows of the cut's tensors."""
        return len(self.cut.live) * line(self.job)

    @cached_property
    def _done(self) -> list[Solution]:
        """The rows of the cut's tensors, once they are there: they serve all rows asked."""
        return []

    def lower_job(self, progress: Progress | None = None) -> Job:
        """The rows of the cut's tensors."""
        rows, live = len(self.job.seeds), len(self.cut.live)
        told, cut = _told(progress, 0, live, live + rows), self.cut
        return replace(self.job, program=cut.lower, seeds=cut.seeds, progress=told, stored=False)

    def _upper_job(self, seeds: Seeds, progress: Progress | None = None) -> Job:
        live, rows = len(self.cut.live), len(seeds)
        told = _told(progress, live, rows, live + rows)
        held = self.job.held + self.below.standing + self.kept + rows * line(self.job)
        return Job(self.cut.upper, seeds, self.job.memory, told, held)

    def needs(self, count: int) -> int:
        """Bytes that computing so many rows takes in all, with what is there already."""
        some = some_of(self.job.seeds, np.arange(count))
        return max(
            self.below.estimate(self.lower_job()), self.above.estimate(self._upper_job(some))
        )

    @property
    def fits(self) -> bool:
        """Whether the rows, or one of them where W goes to a file, fit the budget."""
        rows = len(self.job.seeds)
        try:
            return self.needs(min(rows, 1) if self.job.stored else rows) <= self.job.memory
        except MemoryBudgetError:
            return False

    def __call__(self, seeds: Seeds, progress: Progress | None = None) -> Solution:
        """Compute some rows: all of them, or a block.

        Raises
        ------
        MemoryBudgetError
        """
        if not self._done:
            self._done.append(self.below.engine(self.lower_job(progress)))
        (lower,) = self._done
        upper = self.above.engine(self._upper_job(seeds, progress))
        return Solution(times(upper.W, lower.W), _shares(upper, lower))


def _told(progress: Progress | None, start: int, count: int, total: int) -> Progress | None:
    """Tell of a half's work, in whatever it counts, as sweeps of all."""
    if progress is None:
        return None
    return lambda done, of: progress(start + count * done // max(of, 1), total)


def times(rows: Array, matrix: Array) -> Array:
    """``rows @ matrix``, in which 0 times infinity is 0: an entry that overflows, if none takes it.

    Parameters
    ----------
    rows : array (K, L)
    matrix : array (L, n)
    """
    fine = np.isfinite(matrix)
    if fine.all():
        found: Array = rows @ matrix
        return found
    hit = (rows != 0).astype(matrix.dtype) @ (~fine).astype(matrix.dtype) > 0
    with np.errstate(invalid="ignore"):
        return np.where(hit, np.nan, rows @ np.where(fine, matrix, 0)).astype(matrix.dtype)


def _shares(upper: Solution, lower: Solution) -> Mapping[str, Array]:
    """Shares of b: those of the upper half, and what becomes of the lower half's."""
    found = dict(upper.bias)
    names = list(lower.bias)
    if not names:
        return found
    K, L = upper.W.shape
    matrix = np.stack([lower.bias[name] for name in names], axis=1)
    few = max(AT_ONCE // max(L, 1), 1)
    parts = [
        times(upper.W[i : i + few].astype(np.float64), matrix) for i in range(0, max(K, 1), few)
    ]
    for name, share in zip(names, np.concatenate(parts).T, strict=True):
        found[name] = found[name] + share if name in found else share
    return found
