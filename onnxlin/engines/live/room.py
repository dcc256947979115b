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
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._free: list[Array] = []
        self._used: dict[int, Array] = {}

    def take(self, lines: int, k: int) -> Array:
        """Give out an array with anything in it."""
        size = lines * k
        fits = [buffer for buffer in self._free if size <= buffer.size <= WASTE * size]
        buffer = min(fits, key=lambda each: each.size, default=None)
        if buffer is None:
            # One that fits nothing makes room for what is asked.
            if self._free:
                self._drop(max(self._free, key=lambda each: each.size))
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
