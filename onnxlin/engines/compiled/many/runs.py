"""Stacks of instances run beside each other: kernels of small nets keep few threads busy.

Two runs of one session with half of the threads each took LeNet-5 through 64 instances, ten rows
each, in 11 ms where one run with all of them took 17: its transposed convolutions work with one
thread. Where products take all the time nothing is lost, and what Python does with an answer is
done while the next ones are computed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from onnxlin.engines.cores import cores
from onnxlin.runtime.session import SessionOptions

Part = TypeVar("Part")
Made = TypeVar("Made")

RUNS = 2


def runs_beside(options: SessionOptions | None) -> int:
    """How many runs to have beside each other; 1 where the caller has said what threads there are.

    Parameters
    ----------
    options : onnxruntime.SessionOptions, optional
        As the caller gave them.
    """
    return RUNS if options is None and cores() >= RUNS else 1


def threads_of_each(runs: int) -> int:
    """Threads of a session that so many run at once; 0 for onnxruntime's own number.

    Callers work, too, and those that a session starts serve all of its runs.
    """
    return cores() - runs + 1 if runs > 1 else 0


def ahead(
    work: Callable[[Part], Made], parts: Sequence[Part], runs: int
) -> Iterator[tuple[Part, Made]]:
    """Work on parts, so many beside each other; hand each on, in order, with what was made of it.

    What is handed on is looked at while the next parts are worked on. An error is raised in its
    place.
    """
    if runs == 1 or len(parts) == 1:
        for part in parts:
            yield part, work(part)
        return
    pool, parent = ThreadPoolExecutor(runs), os.getpid()
    coming, waiting = deque(parts), deque[tuple[Part, Future[Made]]]()
    try:
        while coming or waiting:
            # A forked child has no thread of the pool: it works on the rest itself.
            here = os.getpid() == parent
            while here and coming and len(waiting) <= runs:
                part = coming.popleft()
                # A deadline, say, is that of whoever asks.
                waiting.append((part, pool.submit(copy_context().run, work, part)))
            first, made = waiting.popleft() if waiting else (coming.popleft(), None)
            yield first, made.result() if made is not None and here else work(first)
    finally:  # whoever asks may stop asking
        if os.getpid() == parent:
            pool.shutdown(cancel_futures=True)
