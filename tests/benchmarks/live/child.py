"""One measurement in a process of its own: ``python -m tests.benchmarks.live.child TASK``.

Prints lines of JSON while it goes on, each with what is known since, so that whoever stops it
keeps what was measured until then.
"""

from __future__ import annotations

import time

START = time.perf_counter()
"""Before anything that takes long is imported."""

import gc  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

Array = np.ndarray[Any, Any]
ONNXLIN = ("live", "reverse", "compiled", "auto", "explicit", "forward")
COUNT = "count"
"""Not an engine: counts what is live."""

LEFT = 0.95
"""Part of the time limit that a further call must be expected to end in."""


@dataclass(frozen=True)
class Task:
    """What a child measures.

    Parameters
    ----------
    one, many, x : str
        Paths: the model for one image, the one for any number, and the image.
    contender : str
        An engine, `COUNT`, or a way of torch's.
    rows, rounds, threads : int
    batch : int
        Images that the floor runs in one call.
    limit : float
        Seconds after which the child is stopped.
    floor_seconds : float
        Seconds of one turn of the floor; where all images take longer, a part of them is run, and
        the time is scaled.
    """

    one: str
    many: str
    x: str
    contender: str
    rows: int
    rounds: int
    threads: int
    batch: int
    limit: float
    floor_seconds: float


def say(**found: Any) -> None:
    """Hand what is known now to whoever started this process."""
    print(json.dumps(found), flush=True)


def now() -> float:
    """Seconds since this process began to import."""
    return time.perf_counter() - START


class Last:
    """Calls an engine and keeps the map of the last call, no longer than until the next.

    Parameters
    ----------
    make : callable
        Returns an `onnxlin.AffineMap`.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self.map = make, None

    def __call__(self) -> Array:
        """Compute W and b."""
        from tests.benchmarks.contenders import both

        self.map = None
        found = self._make()
        W = both(found)
        self.map = found
        return W


def measure(task: Task) -> None:
    """Measure an engine of onnxlin: first call, memory, then turns with the floor."""
    from onnxlin import Linearizer, OnnxlinError
    from tests.benchmarks.memory import forget_peak, peak_kib

    imported, x = now(), np.load(task.x)
    forget_peak()
    before, start = peak_kib(), time.perf_counter()
    lin = Linearizer(task.one)
    say(imports=imported, linearizer=time.perf_counter() - start)
    job = Last(lambda: lin(x, rows=range(task.rows), engine=task.contender))
    try:
        start = time.perf_counter()
        size = job().nbytes
        say(cold=time.perf_counter() - start, peak_first=(peak_kib() - before) / 2**10)
    except (OnnxlinError, MemoryError) as error:
        say(skipped=f"{type(error).__name__}: {error}")
        return
    say(engine=job.map.engine, W=size / 2**20)
    gc.collect()
    turns(task, job, before if forget_peak() else None)
    # At the end: what these need is not the engine's memory.
    say(engine_last=job.map.engine, sketch=sketch(job.map.W))
    say(residual=float(job.map.residual.max()))


def sketch(W: Array) -> list[float]:
    """Return ``W v`` for a seeded v: what two engines' maps are compared by."""
    v = np.random.default_rng(5).normal(size=W.shape[1]).astype(W.dtype)
    return [float(value) for value in W @ v]


def floor(task: Task) -> tuple[Callable[[], None], int]:
    """onnxruntime's forward pass over as many images as rows; and how many of them a turn runs."""
    from tests.benchmarks.contenders import runtime

    session, x = runtime(task.many, task.threads), np.load(task.x)
    name, size = session.get_inputs()[0].name, min(task.batch, task.rows)
    batch = np.repeat(x, size, axis=0)
    session.run(None, {name: batch})
    start = time.perf_counter()
    session.run(None, {name: batch})
    calls = task.floor_seconds / (time.perf_counter() - start)
    images = min(task.rows, max(1, int(calls)) * size)

    def job() -> None:
        for first in range(0, images, size):
            session.run(None, {name: batch[: min(size, images - first)]})

    return job, images


def turns(task: Task, job: Callable[[], Any], before: int | None) -> None:
    """Time the floor and the engine, in turn, while the limit of time lets us."""
    from tests.benchmarks.memory import peak_kib
    from tests.benchmarks.timing import PAUSE, Times, block, seconds

    mine, other = Times(), Times()
    longest = now()  # the first call, and a little more
    if now() + longest > LEFT * task.limit:
        say(note="stopped after the first call: another does not end within the limit")
    else:
        mine.calls.append(seconds(job) * 1e3)
        longest = mine.calls[0] / 1e3
        later = None if before is None else (peak_kib() - before) / 2**10
        say(warm=mine.calls, peak_later=later)
    passes, images = floor(task)
    for _ in range(task.rounds):
        time.sleep(PAUSE)
        other.calls += [ms * task.rows / images for ms in block(passes, other)]
        say(floor=other.calls, images=images)
        if not mine.calls or now() + 2 * longest > LEFT * task.limit:
            break
        time.sleep(PAUSE)
        mine.calls += block(job, mine)
        say(warm=mine.calls)


def torch_way(task: Task) -> None:
    """Measure a way of torch's on the model, read by onnx2torch."""
    from tests.benchmarks.live.torch_ways import prepare

    imported = now()
    start = time.perf_counter()
    job = prepare(task.many, np.load(task.x), task.rows, task.contender)
    say(imports=imported, linearizer=time.perf_counter() - start)
    start = time.perf_counter()
    W = job()
    say(cold=time.perf_counter() - start, W=W.nbytes / 2**20, sketch=sketch(W))
    del W
    turns(task, job, None)


def counting(task: Task) -> None:
    """Count what is live, and what there is."""
    from onnxlin import Linearizer
    from onnxlin.engines.live.plan import Plan
    from tests.benchmarks.live.share import count

    m = Linearizer(task.one)(np.load(task.x), rows=range(task.rows), engine="live")
    job = m.made_from("a count of what is live").job
    found = count(Plan(job.program, job.seeds))
    say(live=found.live, dense=found.dense, share=found.share, columns=job.program.columns)


def main() -> None:
    """Do what the argument says."""
    task = Task(**json.loads(sys.argv[1]))
    if task.contender == COUNT:
        counting(task)
    elif task.contender in ONNXLIN:
        measure(task)
    else:
        torch_way(task)


if __name__ == "__main__":
    main()
