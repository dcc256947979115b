"""Members of an archive of arrays: what they are called, and where they lie."""

from __future__ import annotations

import mmap
from math import prod
from typing import IO, Any

import numpy as np

ENDING = ".npy"
LOCAL = 30
"""Bytes of a member's header, but for its name and what comes behind that."""


def mapped_at(
    stream: IO[bytes], start: int, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any = "C"
) -> Any:
    """Map the numbers of an array from where they begin in a file: read-only."""
    if not prod(shape) * dtype.itemsize:  # the system maps nothing that is empty
        found = np.zeros(shape, dtype)
        found.setflags(write=False)
        return found
    return np.memmap(stream, dtype, "r", start, shape, order)


def let_go(array: Any) -> None:
    """Let pages of a mapped array be no part of this process's memory until they are read again.

    Whoever goes through a file larger than memory would else hold as much of it as there is room.
    """
    base = getattr(array, "base", None)
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
