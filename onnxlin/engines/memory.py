"""Memory: what an engine may use, and how the allocator is asked to keep it."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache

import numpy as np

from onnxlin.runtime.amounts import size


def memory_budget(memory: int | float | str | None) -> int:
    """Read the ``memory`` option: bytes, or text such as "4GiB"; None is half of what is free."""
    if memory is None:
        return _free(int(time.monotonic() / RECENT)) // 2
    return size(memory)


PIECES = 0.5
"""Bytes of the pieces at x for each byte of the run's tensors, where they are not there yet."""


A_NODE = 26 * 2**10
"""Bytes of a node of a model that is open: as it was read, its rule's pieces, its session's."""


def size_of(value: object) -> int:
    """Bytes of a tensor of a run, or of those of a sequence."""
    if isinstance(value, list):
        return sum(size_of(part) for part in value)
    return value.nbytes if isinstance(value, np.ndarray) else 0


def mib(size: float) -> str:
    """Write a number of bytes in MiB; of few bytes the first two digits."""
    size /= 2**20
    return f"{size:,.0f} MiB" if size >= 9.5 or not size else f"{size:.2g} MiB"


def enough(size: int) -> str:
    """Write a budget that holds so many bytes, as ``memory=`` takes it."""
    return f"'{-(-size // 2**20)}MiB'" if size >= 2**21 else f"'{-(-size // 2**10)}KiB'"


def or_save(one_row: int, memory: int) -> str:
    """Advise to keep W in a file, in the middle of a sentence, if a row of it at a time fits."""
    text = (
        "give save= a file, into which W goes a few rows at a time (`onnxlin explain` without "
        "--no-files does), "
    )
    return text if one_row <= memory else ""


# Asking the system takes as long as the rest of a small map's call.
RECENT = 0.5
"""Seconds for which an answer about free memory holds."""


@lru_cache(maxsize=1)
def _free(_moment: int) -> int:
    """Memory that can be had without swapping; 8 GiB are assumed where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("MemAvailable"))
            return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


# glibc maps arrays above a threshold anew each time, and every page of them costs a fault. Freeing
# a mapped block raises the threshold to its size, up to this limit (mallopt(3), M_MMAP_THRESHOLD).
LIMIT = 32 * 2**20


MARGIN = 64 * 2**10


# From so many bytes on, what is freed is worth handing back.
WORTH_IT = 8 * 2**20


def hand_back(size: int) -> None:
    """Let the system have what has been freed, after something so large that is done once.

    Opening a session writes its weights several times over. glibc keeps such room (malloc_trim(3)).
    """
    trim = _trim() if size >= WORTH_IT else None
    if trim is not None:
        trim(0)
        if _Here.kept:
            _hand_back_top()


@cache
def _trim() -> Callable[[int], int] | None:
    """What hands freed memory back; None where the C library has no such thing."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


@cache
def keep_freed_arrays() -> None:
    """Raise the threshold once, by a block that is never touched and so costs nothing.

    Measured on SqueezeNet: one row of W in 22 ms instead of 44. Other allocators don't mind.
    """
    np.empty(LIMIT - MARGIN, dtype=np.uint8)


# mallopt(3): M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM, MMAP = -1, -3


def keep_freed_arrays_here() -> None:
    """Raise the threshold of a process whose environment has fixed it, where that can be done.

    dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536: then no freed block raises it.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP, LIMIT)
        libc.mallopt(TRIM, 2 * LIMIT)
        _Here.kept = True


class _Here:
    """Whether `keep_freed_arrays_here` has been at work."""

    kept = False


A_CHUNK = 2**18
"""Bytes: freed, so large a block makes glibc look at how much is free behind it."""


def _hand_back_top() -> None:
    """Hand back what is free at the end of this thread's own heap, too.

    malloc_trim does so for the main thread's heap alone; of others it hands back the holes. Threads
    of dask's have heaps of their own, and each kept up to `2 * LIMIT` there.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.mallopt(TRIM, A_CHUNK)
    libc.free(libc.malloc(A_CHUNK))
    libc.mallopt(TRIM, 2 * LIMIT)


def peak() -> int:
    """Largest memory that this process has had resident, in bytes; 0 where nobody can tell."""
    try:
        import resource  # noqa: PLC0415  # Windows has none
    except ImportError:
        return 0
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(found) * (1 if sys.platform == "darwin" else 1024)
