"""Reading a model's input shape as that of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, prod

from onnxlin.errors import InputError
from onnxlin.graph import TensorType
from onnxlin.graph.picture import Geometry, Layout

Size = int | str | None

WAY_OUT = "Give --layout, or prepare the tensor yourself and pass it as .npy."


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
