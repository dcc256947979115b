"""Compare results, then time contenders in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Job = Callable[[], Any]

TOLERANCE = 1e-3
"""How far a result may be from the reference, relative to the reference's largest entry."""

PAUSE = 0.25
"""Seconds between two contenders: idle threads of the one before spin for a while."""

BLOCK = 0.4
"""Seconds that a contender's calls in one round shall take, if one call does not take longer."""

LONGEST = 12.0
"""Seconds of calls of one contender, after which it is not called again."""


@dataclass
class Times:
    """Milliseconds of every call."""

    calls: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.calls)

    @property
    def minimum(self) -> float:
        return min(self.calls)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.calls), max(self.calls)


class DepartureError(Exception):
    """A result is not the reference's."""


def departure(found: Any, reference: Array) -> float:
    """Return the largest difference, relative to the reference's largest entry.

    A result of another shape or dtype, or one that is not finite, is infinitely far away.
    """
    found = np.asarray(found)
    if found.shape != reference.shape or found.dtype != np.float32:
        return np.inf
    if not np.isfinite(found).all():
        return np.inf
    size = np.abs(reference).max(initial=0)
    gap = np.abs(found.astype(np.float64) - reference).max(initial=0)
    return float(gap / size) if size else (np.inf if gap else 0.0)


def require_close(found: Any, reference: Array) -> float:
    """Return how far a result is from the reference.

    Raises
    ------
    DepartureError
        It is further than TOLERANCE, or the reference says nothing because it is 0.
    """
    if not np.abs(reference).max(initial=0):
        raise DepartureError("the reference is 0 everywhere, so nothing can be compared")
    gap = departure(found, reference)
    if not gap <= TOLERANCE:
        raise DepartureError(f"departs by {gap:.2g}, more than {TOLERANCE:g}")
    return gap


def seconds(job: Job) -> float:
    """Time one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def take_turns(jobs: Mapping[str, Job], rounds: int, pause: float = PAUSE) -> dict[str, Times]:
    """Time blocks of calls of every job, in turn, so that all see the same drift of the machine.

    Each block begins with a call that does not count: it brings the job's threads and memory
    back. Slow jobs are called once in a block, without that, and in fewer rounds.
    """
    times = {name: Times() for name in jobs}
    for number in range(rounds):
        for name, job in jobs.items():
            if number < 3 or sum(times[name].calls) < LONGEST * 1e3:
                time.sleep(pause)
                times[name].calls += block(job, times[name])
    return times


def block(job: Job, before: Times) -> list[float]:
    """Milliseconds of a few consecutive calls."""
    slow = before.calls and before.median > BLOCK * 1e3
    first = 0.0 if slow else seconds(job)
    count = 1 if slow else max(1, min(50, round(BLOCK / max(first, 1e-9))))
    return [seconds(job) * 1e3 for _ in range(count)]
