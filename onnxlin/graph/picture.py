"""Where channel, row and column lie in a tensor that holds one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnxlin.graph.graph import Array

Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class Geometry:
    """A picture of ``(channels, height, width)`` inside a tensor of ``shape``.

    Parameters
    ----------
    shape : tuple of int
        Of the tensor, with the same number of entries as the picture.
    layout : {"nchw", "nhwc"}
        Order of the axes; further axes have length 1, or the tensor is flat.
    channels, height, width : int
    """

    shape: tuple[int, ...]
    layout: Layout
    channels: int
    height: int
    width: int

    def to_tensor(self, picture: Array) -> Array:
        """``(height, width, channels)`` -> the tensor."""
        moved = picture if self.layout == "nhwc" else np.moveaxis(picture, -1, 0)
        return np.ascontiguousarray(moved).reshape(self.shape)

    def to_picture(self, tensor: Array) -> Array:
        """Read the tensor, or as many entries in its order -> ``(channels, height, width)``."""
        if self.layout == "nhwc":
            flat = tensor.reshape(self.height, self.width, self.channels)
            return np.moveaxis(flat, -1, 0)
        return tensor.reshape(self.channels, self.height, self.width)

    def place(self, index: int) -> tuple[int, int, int]:
        """Flat position in the tensor -> (channel, row, column)."""
        if self.layout == "nhwc":
            pixel, channel = divmod(index, self.channels)
            return channel, *divmod(pixel, self.width)
        channel, pixel = divmod(index, self.height * self.width)
        return channel, *divmod(pixel, self.width)

    def __str__(self) -> str:
        return f"{self.layout.upper()}, {self.channels} x {self.height} x {self.width}"


def guess_geometry(shape: Sequence[int]) -> Geometry | None:
    """Read an array's shape as a picture's where nothing else could be meant, else None."""
    if len(shape) != 4 or shape[0] != 1:
        return None
    _, a, b, c = shape
    if a in (1, 3) and min(b, c) > 3:
        return Geometry(tuple(shape), "nchw", a, b, c)
    if c in (1, 3) and min(a, b) > 3:
        return Geometry(tuple(shape), "nhwc", c, a, b)
    return None
