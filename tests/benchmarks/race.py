"""One race: make the contenders, compare what they find, time those that agree."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.contenders import ONNXLIN, SkippedError, Work, floor, forward
from tests.benchmarks.tables import FLOOR, FORWARD, Race
from tests.benchmarks.timing import DepartureError, Job, require_close, take_turns


@dataclass
class Field:
    """Who is at the start, how far each is from the reference, and who is not and why."""

    jobs: dict[str, Job] = field(default_factory=dict)
    gaps: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def all_contenders() -> dict[str, Callable[[Work], Any]]:
    """Return every contender by name; those of JAX only where it is installed."""
    from tests.benchmarks.contenders_torch import TORCH

    try:
        from tests.benchmarks.contenders_jax import JAX
    except ImportError as error:
        print(f"JAX is left out: {error}", file=sys.stderr)
        return {**ONNXLIN, **TORCH}
    return {**ONNXLIN, **TORCH, **JAX}


def chosen(only: Collection[str]) -> dict[str, Callable[[Work], Any]]:
    """Return the contenders whose names hold one of the texts; without texts, all."""
    found = all_contenders().items()
    return {name: make for name, make in found if not only or any(part in name for part in only)}


def gather(work: Work, makers: dict[str, Callable[[Work], Any]]) -> Field:
    """Make the contenders and hold each one's rows against torch's."""
    from tests.benchmarks.contenders_torch import REFERENCE, TORCH

    reference = TORCH[REFERENCE](work)().copy()
    ready = Field()
    for name, make in makers.items():
        try:
            job = make(work)
            ready.gaps[name] = require_close(job(), reference)
            ready.jobs[name] = job
        except (SkippedError, DepartureError) as error:
            ready.notes[name] = str(error)
        except Exception as error:  # a contender that breaks must not end the run
            ready.notes[name] = f"fails: {type(error).__name__}: {' '.join(str(error).split())}"
    return ready


def race(work: Work, makers: dict[str, Callable[[Work], Any]], rounds: int) -> Race:
    """Time the floor and the contenders that agree."""
    print(
        f"{work.case.name}, {work.rows} rows, batch {work.batch} ...", file=sys.stderr, flush=True
    )
    ready = gather(work, makers)
    jobs: dict[str, Job] = {FORWARD: forward(work)}
    if work.images > 1:
        jobs[FLOOR] = floor(work)
    times = take_turns({**jobs, **ready.jobs}, rounds)
    return Race(work.case.name, work.rows, work.batch, times, ready.gaps, ready.notes)
