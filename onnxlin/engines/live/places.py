"""Where live entries of a tensor are kept: one line of K cotangents for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from onnxlin.primitives import Array, Shape


@dataclass(frozen=True, eq=False)
class Places:
    """The live entries of one tensor, in the order in which their lines lie in memory.

    Images ``(N, C, *spatial)`` are kept pixel by pixel, the channels of one side by side: then what
    a row of a kernel meets is one block of lines.

    Parameters
    ----------
    shape : tuple of int
        Of the tensor.
    flat : int array (n,)
        Positions in C order.
    pixels : bool
        Whether lines are kept pixel by pixel.
    """

    shape: Shape
    flat: Array
    pixels: bool

    @classmethod
    def of(cls, live: Array, *, pixels: bool) -> Places:
        """Keep the live ones of a tensor, which are marked in an array of its shape."""
        if not pixels or live.ndim < 3:
            return cls(live.shape, np.flatnonzero(live), False)
        last = np.moveaxis(live, 1, -1)
        found = np.flatnonzero(last)
        pixel, channel = np.divmod(found, live.shape[1])
        size = prod(live.shape[2:])
        sample, place = np.divmod(pixel, size)
        return cls(live.shape, (sample * live.shape[1] + channel) * size + place, True)

    def __len__(self) -> int:
        return len(self.flat)

    @cached_property
    def line(self) -> Array:
        """Line of every entry, -1 for dead ones: ``(prod(shape),)``."""
        found = np.full(prod(self.shape), -1, np.int64)
        found[self.flat] = np.arange(len(self.flat))
        return found

    @cached_property
    def codes(self) -> Array:
        """``pixel * channels + channel`` of every line, where lines are kept pixel by pixel."""
        size = prod(self.shape[2:])
        sample, rest = np.divmod(self.flat, size * self.shape[1])
        channel, place = np.divmod(rest, size)
        found: Array = (sample * size + place) * self.shape[1] + channel
        return found

    @cached_property
    def starts(self) -> Array:
        """First line of every pixel, and the end: ``(pixels of all samples + 1,)``."""
        pixels = prod(self.shape) // self.shape[1]
        counts = np.bincount(self.codes // self.shape[1], minlength=pixels)
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def first(self) -> list[int]:
        """`starts` as plain numbers, which are read one by one."""
        found: list[int] = self.starts.tolist()
        return found

    def rows(self, low: int, high: int) -> Places:
        """The lines of some rows of pixels of one image, as of a tensor of these rows alone."""
        _, channels, height, width = self.shape
        first, last = self.first[low * width], self.first[high * width]
        flat = self.flat[first:last]
        flat = flat - flat // (height * width) * ((height - high + low) * width) - low * width
        found = Places((1, channels, high - low, width), flat, self.pixels)
        # As they are known, nobody need count them again.
        starts = self.starts[low * width : high * width + 1] - first
        codes = self.codes[first:last] - low * width * channels
        vars(found).update(starts=starts, codes=codes)
        return found
