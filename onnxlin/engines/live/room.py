"""Memory that is used again: the first touch of fresh memory costs more than many a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.engines.live.threads import spread
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
        self._others: dict[int, int] = {}

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

    def share(self, array: Array) -> Array:
        """Let another have the same array, who gives it back as well; nobody writes to it then."""
        self._others[id(array)] = self._others.get(id(array), 0) + 1
        return array

    def own(self, array: Array) -> Array:
        """Return an array that may be written to: a copy where others have it too."""
        if id(array) not in self._others:
            return array
        copy = self.take(*array.shape)

        def some(part: slice) -> None:
            copy[part] = array[part]

        spread(some, len(array), array.shape[1] * array.itemsize)
        self.give(array)
        return copy

    def give(self, array: Array) -> None:
        """Take an array back, if it came from here and nobody else has it."""
        others = self._others.pop(id(array), 0)
        if others:
            if others > 1:
                self._others[id(array)] = others - 1
            return
        buffer = self._used.pop(id(array), None)
        if buffer is not None:
            self._free.append(buffer)

    def _drop(self, buffer: Array) -> None:
        self._free = [each for each in self._free if each is not buffer]
