"""Interpolation along one axis as a sparse matrix of weights.

Coordinates and weights are computed in float32, step by step as onnxruntime does it. Where a
weight is small it is the difference of large numbers, and which pixel is nearest hangs on the last
bit of a coordinate: only the same arithmetic gives the map that the runtime applies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Array

HALF = np.float32(0.5)


@dataclass(frozen=True, eq=False)
class Axis:
    """How one axis is resized.

    Parameters
    ----------
    size, out_size : int
        Its length before and after.
    scale : float32
    start, end : float32
        Region of interest, as shares of the axis.
    """

    size: int
    out_size: int
    scale: np.float32
    start: np.float32
    end: np.float32


def _half_pixel(axis: Axis, x: Array) -> Array:
    return (x + HALF) / axis.scale - HALF


def _pytorch_half_pixel(axis: Axis, x: Array) -> Array:
    return _half_pixel(axis, x) if axis.out_size > 1 else np.zeros_like(x)


def _half_pixel_symmetric(axis: Axis, x: Array) -> Array:
    size = np.float32(axis.size)
    offset = size / 2 * (1 - np.float32(axis.out_size) / (axis.scale * size))
    # The runtime's 0.5 is a double here, so the sum is one as well.
    return np.float64(offset) + (x.astype(np.float64) + 0.5) / np.float64(axis.scale) - 0.5


def _align_corners(axis: Axis, x: Array) -> Array:
    if axis.out_size == 1:
        return np.zeros_like(x)
    return x * np.float32(axis.size - 1) / np.float32(axis.out_size - 1)


def _crop_and_resize(axis: Axis, x: Array) -> Array:
    last = np.float32(axis.size - 1)
    if axis.out_size == 1:
        return np.full(1, 0.5 * np.float64(axis.start + axis.end) * np.float64(last))
    steps = x * (axis.end - axis.start) * last / np.float32(axis.out_size - 1)
    return axis.start * last + steps


COORDINATES: dict[str, Callable[[Axis, Array], Array]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "align_corners": _align_corners,
    "asymmetric": lambda axis, x: x / axis.scale,
    "tf_half_pixel_for_nn": lambda axis, x: (x + HALF) / axis.scale,
    "tf_crop_and_resize": _crop_and_resize,
}
"""``coordinate_transformation_mode`` -> where each output pixel lies among the input's."""


def coordinates(axis: Axis, mode: str) -> Array:
    """Return the position of each output pixel on the input axis: ``(out_size,)``, float32."""
    x = np.arange(axis.out_size, dtype=np.float32)
    return x if axis.scale == 1 else COORDINATES[mode](axis, x).astype(np.float32)


# onnxruntime takes coordinates that are this close to the middle of two pixels for the middle.
MIDDLE = 0.5 + 1e-6

NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda u: np.ceil(u - MIDDLE),
    "round_prefer_ceil": lambda u: np.floor(u + MIDDLE),
    "floor": np.floor,
    "ceil": np.ceil,
}
"""``nearest_mode`` -> rounding of coordinates."""


def nearest(axis: Axis, u: Array, mode: str) -> sp.csr_array:
    """Weight 1 at the nearest pixel to each coordinate."""
    index = NEAREST[mode](u.astype(np.float64)).astype(np.int64)
    return _matrix(axis, index[:, None], np.ones((len(u), 1)))


def linear(axis: Axis, u: Array) -> sp.csr_array:
    """Weights of the two neighbours of each coordinate."""
    inside = np.clip(u, np.float32(0), np.float32(axis.size - 1))
    low = inside.astype(np.int64)
    high = np.minimum(low + 1, axis.size - 1)
    after = np.abs(inside - low.astype(np.float32))
    before = np.abs(inside - high.astype(np.float32))
    last = low == high
    weights = np.stack([np.where(last, HALF, before), np.where(last, HALF, after)], axis=1)
    return _matrix(axis, np.stack([low, high], axis=1), weights)


def cubic(axis: Axis, u: Array, a: float, *, exclude_outside: bool) -> sp.csr_array:
    """Weights of the four neighbours of each coordinate (Keys 1981, equation 4)."""
    floor = np.floor(u)
    weights = _keys(u - floor, np.float32(a))
    index = floor.astype(np.int64)[:, None] + np.arange(-1, 3)
    if exclude_outside:
        weights[(index < 0) | (index >= axis.size)] = 0
        weights /= _sum(weights)
    return _matrix(axis, index, weights)


def _keys(s: Array, a: np.float32) -> Array:
    """Cubic convolution weights of the pixels at -1, 0, 1, 2 for a coordinate at s in 0..1."""

    def outer(d: Array) -> Array:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    def inner(d: Array) -> Array:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    return np.stack([outer(s + 1), inner(s), inner(1 - s), outer(2 - s)], axis=1)


def _tent(d: Array) -> Array:
    return np.where(d < 1, 1 - d, np.float32(0))


def _bicubic(a: np.float32) -> Callable[[Array], Array]:
    def weight(d: Array) -> Array:
        inner = ((a + 2) * d - (a + 3)) * d * d + 1
        outer = (((d - 5) * d + 8) * d - 4) * a
        return np.where(d < 1, inner, np.where(d < 2, outer, np.float32(0)))

    return weight


def antialiased(axis: Axis, u: Array, a: float | None, *, exclude_outside: bool) -> sp.csr_array:
    """Weights of a tent (``a`` is None) or cubic filter, stretched where the axis shrinks.

    Without ``exclude_outside`` the weight outside of the axis goes to its first or last pixel.
    """
    if axis.size == axis.out_size:  # the runtime copies it, whatever the scale
        return sp.eye_array(axis.size, format="csr")
    weight, radius = (_tent, 1) if a is None else (_bicubic(np.float32(a)), 2)
    stretch = np.maximum(np.float32(1) / axis.scale, np.float32(1))
    reach = np.float32(radius) * stretch
    center = HALF + u
    first = np.floor(center - reach + HALF).astype(np.int64)
    stop = np.floor(center + reach + HALF).astype(np.int64)
    index = first[:, None] + np.arange(int((stop - first).max(initial=0)))
    distance = (index.astype(np.float32) - center[:, None] + HALF) * (np.float32(1) / stretch)
    outside = (index < 0) | (index >= axis.size)
    unused = (index >= stop[:, None]) | (outside & exclude_outside)
    weights = np.where(unused, np.float32(0), weight(np.abs(distance)))
    weights *= np.float32(1) / _sum(weights)
    # A window without any pixel of the axis stays empty.
    weights[outside.all(axis=1)] = 0
    return _matrix(axis, index, weights)


def _sum(weights: Array) -> Array:
    """Sum rows from left to right, as the runtime does, to divide by: ``(rows, 1)``, 0 gives 1."""
    if not weights.shape[1]:
        return np.ones((len(weights), 1), dtype=weights.dtype)
    total = np.cumsum(weights, axis=1, dtype=weights.dtype)[:, -1:]
    return np.where(total == 0, np.ones_like(total), total)


def _matrix(axis: Axis, index: Array, weights: Array) -> sp.csr_array:
    """Gather weights into rows; pixels outside of the axis stand for its ends."""
    row = np.repeat(np.arange(len(index)), index.shape[1])
    column = np.clip(index, 0, axis.size - 1).ravel()
    entries = (weights.ravel().astype(np.float64), (row, column))
    matrix = sp.csr_array(entries, shape=(len(index), axis.size))
    matrix.eliminate_zeros()
    return matrix
