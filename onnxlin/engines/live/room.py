"""Memory that is used again: the first touch of fresh memory costs more than many a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.primitives import Array

# A buffer is not given to what is so many times smaller.
WASTE = 2


class Room:
    """Buffers for cotangents, ``(lines, K)``.

    Parameters
    ----------
    dtype : float32 or float64
    most : int
        Lines that are in use at once. Beyond that nothing is kept.
    """

    def __init__(self, dtype: np.dtype[Any], most: int) -> None:
        self._dtype, self._most = dtype, most
        self._free: list[Array] = []
        self._used: dict[int, Array] = {}

    def take(self, lines: int, k: int) -> Array:
        """Give out an array with anything in it."""
        size = lines * k
        fits = [buffer for buffer in self._free if size <= buffer.size <= WASTE * size]
        buffer = min(fits, key=lambda each: each.size, default=None)
        if buffer is None:
            # What fits nothing makes room for what is asked.
            held = sum(each.size for each in (*self._free, *self._used.values()))
            while self._free and held + size > self._most * k:
                largest = max(self._free, key=lambda each: each.size)
                held -= largest.size
                self._drop(largest)
            buffer = np.empty(size, self._dtype)
        else:
            self._drop(buffer)
        found: Array = buffer[:size].reshape(lines, k)
        self._used[id(found)] = buffer
        return found

    def give(self, array: Array) -> None:
        """Take an array back, if it came from here."""
        buffer = self._used.pop(id(array), None)
        if buffer is not None:
            self._free.append(buffer)

    def _drop(self, buffer: Array) -> None:
        self._free = [each for each in self._free if each is not buffer]
