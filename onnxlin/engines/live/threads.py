"""Work on lines by several threads: NumPy and BLAS release Python's lock over large arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

# Bytes that are worked on at once: within the cache, and long beside a call.
AT_ONCE = 2**18


def cores() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


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
    threads = min(cores(), len(parts))
    if threads < 2:
        for part in parts:
            work(part)
        return

    def some(first: int) -> None:
        for part in parts[first::threads]:
            work(part)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, range(threads)))
