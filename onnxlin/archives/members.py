"""Members of an archive of arrays: what they are called, and where they lie."""

from __future__ import annotations

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
