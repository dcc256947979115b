"""Where channel, row and column lie in a tensor that holds one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod
from typing import Literal

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType

Layout = Literal["nchw", "nhwc"]
Size = int | str | None

WAY_OUT = "Give --layout, or prepare the tensor yourself and pass it as .npy."


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


def find_geometry(
    name: str,
    kind: TensorType,
    picture: tuple[int, int, int],
    layout: str = "auto",
    channels: int | None = None,
) -> Geometry:
    """Read the model's input shape as that of a picture.

    Parameters
    ----------
    name, kind : str, TensorType
        The model's input. Axes of unknown length take the picture's.
    picture : (height, width, channels)
        The size that the file has.
    layout : {"auto", "nchw", "nhwc"}
    channels : int, optional
        Where the shape does not tell.

    Raises
    ------
    InputError
        The shape is not that of one picture with 1 or 3 channels.
    """
    shape = (1, None, None, None) if kind.shape is None else kind.shape
    if _is_flat(shape):
        return _flat(name, shape, picture[:2], layout, channels)
    inner = _one_picture(name, kind, shape)
    chosen = _layout(name, kind, inner, layout)
    found = inner if chosen == "nchw" else (inner[2], inner[0], inner[1])
    count = _length(found[0], channels or picture[2])
    if count not in (1, 3):
        raise InputError(
            f"Input {name!r} takes {kind}: {count} channels as {chosen.upper()}, and pictures have "
            f"1 or 3. {WAY_OUT}"
        )
    sizes = (count, _length(found[1], picture[0]), _length(found[2], picture[1]))
    order = sizes if chosen == "nchw" else (sizes[1], sizes[2], sizes[0])
    lead = tuple(1 for _ in range(len(shape) - 3))
    return Geometry((lead + order) if len(shape) > 2 else sizes[1:], chosen, *sizes)


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


def _length(size: Size, otherwise: int) -> int:
    return size if isinstance(size, int) else otherwise


def _is_flat(shape: Sequence[Size]) -> bool:
    """Whether there is one length above 3, and every other axis is 1, or the batch's."""
    long = [n for n in shape if isinstance(n, int) and n > 1]
    rest = [n for n in shape if not (isinstance(n, int) and n > 1)]
    known = len(shape) < 3 or all(n == 1 for n in rest)
    return len(long) == 1 and long[0] > 3 and known and len(shape) < 4


def _flat(
    name: str,
    shape: Sequence[Size],
    size: tuple[int, int],
    layout: str,
    channels: int | None,
) -> Geometry:
    height, width = size
    full = tuple(_length(n, 1) for n in shape)
    length = prod(full)
    order: Layout = "nhwc" if layout == "nhwc" else "nchw"
    for count in (channels,) if channels else (1, 3):
        if count * height * width == length:
            return Geometry(full, order, count, height, width)
    for count in (channels,) if channels else (1, 3):
        side = isqrt(length // count)
        if count * side * side == length:
            return Geometry(full, order, count, side, side)
    raise InputError(
        f"Input {name!r} takes {length} numbers in a row, which is neither the picture's "
        f"{width} x {height} nor a square. Resize the picture first, or pass the numbers as .npy."
    )


def _one_picture(name: str, kind: TensorType, shape: Sequence[Size]) -> tuple[Size, Size, Size]:
    """The three axes that matter."""
    if len(shape) == 4 and (shape[0] == 1 or not isinstance(shape[0], int)):
        return shape[1], shape[2], shape[3]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    raise InputError(
        f"Input {name!r} takes {kind} ({prod(_length(n, 1) for n in shape)} numbers), which is not "
        "the shape of one picture. Prepare the tensor yourself and pass it as .npy."
    )


def _layout(name: str, kind: TensorType, inner: tuple[Size, Size, Size], asked: str) -> Layout:
    if asked != "auto":
        return "nhwc" if asked == "nhwc" else "nchw"
    first, last = inner[0], inner[2]
    if first in (1, 3):
        return "nchw"
    if last in (1, 3):
        return "nhwc"
    if not isinstance(first, int):
        return "nchw"
    if not isinstance(last, int):
        return "nhwc"
    raise InputError(
        f"Input {name!r} takes {kind}: neither the first nor the last axis has 1 or 3 channels, "
        f"so it is not a picture. {WAY_OUT}"
    )
