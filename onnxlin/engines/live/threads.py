"""Work on lines by several threads: NumPy and BLAS release Python's lock over large arrays."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from onnxlin.engines.cores import all_cores, cores
from onnxlin.primitives import Array
from onnxlin.runtime.locks import ForkSafeLock

T = TypeVar("T")

# Bytes that are worked on at once: within the cache, and long beside a call.
AT_ONCE = 2**18
# Bytes of a page, and of one of those that the system may hand out instead.
PAGE, HUGE = 2**12, 2**21


def spread(work: Callable[[slice], None], count: int, each: int) -> None:
    """Do work on so many lines, a part at a time.

    Parameters
    ----------
    work : callable
        Takes a slice of the lines.
    each : int
        Bytes of a line.
    """
    size = max(AT_ONCE // max(each, 1), 1)
    parts = [slice(i, min(i + size, count)) for i in range(0, count, size)]

    def some(mine: Iterator[slice]) -> None:
        for part in mine:
            work(part)

    shared(some, parts)


def touched(fresh: Array) -> Array:
    """Have all threads touch memory that nobody has touched, each pages of its own.

    Returns
    -------
    array
        The same, contiguous, with 0 somewhere in every page.
    """
    # Where two threads came upon one page at the same time, both would wait for the same.
    flat = fresh.reshape(-1)
    step, size = max(PAGE // fresh.itemsize, 1), max(HUGE // fresh.itemsize, 1)

    def some(mine: Iterator[int]) -> None:
        for start in mine:
            flat[start : start + size : step] = 0

    if fresh.nbytes > HUGE:
        shared(some, range(0, flat.size, size))
    return fresh


def shared(work: Callable[[Iterator[T]], None], parts: Sequence[T]) -> None:
    """Have each of several threads do those parts of a work that nobody has begun yet.

    Parameters
    ----------
    work : callable
        Takes parts from an iterator, each time that it is called in a thread of its own.
    parts : sequence
    """
    threads = min(cores(), len(parts))
    if threads < 2 or _INSIDE.yes:
        work(iter(parts))
        return
    left = deque(parts)

    def inside() -> None:
        _INSIDE.yes = True
        work(_taken(left))

    helpers = _HELPERS.get()
    others = [helpers.submit(inside) for _ in range(threads - 1)]
    try:
        # This thread is one of them.
        work(_taken(left))
    finally:
        # What failed here leaves nothing to do there, and nobody at work behind the caller's back.
        left.clear()
        found = [other.exception() for other in others]
    for error in found:
        if error is not None:
            raise error


def _taken(left: deque[T]) -> Iterator[T]:
    """Take parts off the list that all threads take from."""
    while left:
        try:
            yield left.popleft()
        except IndexError:  # another was faster
            return


class _Inside(threading.local):
    """Whether a thread is a helper: it must not wait for others, which may wait for it."""

    yes = False


class _Helpers:
    """Threads that stay: to start one takes as long as many a product.

    Python ends them at exit (`concurrent.futures`). A forked child has none of them, and starts
    its own.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._pool: ThreadPoolExecutor | None = None

    def get(self) -> ThreadPoolExecutor:
        """The threads, which are started when they are first needed."""
        with self._lock.held():
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max(all_cores() - 1, 1), "onnxlin-live")
            return self._pool

    def forget(self) -> None:
        """In a forked child: the parent's threads are not here."""
        self._pool = None


_INSIDE, _HELPERS = _Inside(), _Helpers()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HELPERS.forget)
