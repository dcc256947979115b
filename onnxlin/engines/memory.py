"""Memory: what an engine may use, and how the allocator is asked to keep it."""

from __future__ import annotations

import os
import re
import time
from functools import cache, lru_cache

import numpy as np

from onnxlin.errors import OptionError

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def memory_budget(memory: int | float | str | None) -> int:
    """Read the ``memory`` option: bytes, or text such as "4GiB"; None is half of what is free."""
    if memory is None:
        return _free(int(time.monotonic() / RECENT)) // 2
    match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)(?:i?B)?\s*", str(memory), re.IGNORECASE)
    try:
        size = float(match[1]) * UNITS[match[2].upper()] if match else 0.0
    except ValueError:
        size = 0.0
    if size < 1:
        raise OptionError(f"memory={memory!r}; expected bytes, or text such as '4GiB'.")
    return int(size)


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


@cache
def keep_freed_arrays() -> None:
    """Raise the threshold once, by a block that is never touched and so costs nothing.

    Measured on SqueezeNet: one row of W in 22 ms instead of 44. Other allocators don't mind.
    """
    np.empty(LIMIT - MARGIN, dtype=np.uint8)
