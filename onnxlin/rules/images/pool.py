"""Pooling: the largest entry or the mean of each window."""

from __future__ import annotations

from math import prod

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Along, Array, LinearMap, Select, Shape, chain, identity
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.entrywise.extremum import over_axes
from onnxlin.rules.guards import Guard, contest
from onnxlin.rules.moving.moves import places
from onnxlin.rules.padding import positions, resolve_pads, strides_and_dilations, unfold
from onnxlin.rules.reductions.reduce import average
from onnxlin.rules.registry import rule


def window_taps(node: NodeAtX) -> tuple[list[Array], Shape, Shape]:
    """Where each window's taps lie along each spatial axis; and the pads before and after."""
    node.ignore("ceil_mode")  # the output shape has it
    spatial, kernel = node.shape(0)[2:], tuple(node.attr("kernel_shape"))
    strides, dilations = strides_and_dilations(node, len(kernel))
    begin, end = resolve_pads(node, spatial, kernel, strides, dilations, pooling=True)
    sizes = zip(node.out_shape[2:], kernel, strides, dilations, begin, strict=True)
    return [positions(*size) for size in sizes], begin, end


@rule("MaxPool", captures=("Indices",))
def max_pool(node: NodeAtX) -> Affine:
    """Copy the entry that won each window at x; ties go to the one that the runtime chose.

    ``x : (N, C, *spatial) -> y : (N, C, *pooled)``. Source: ONNX operator specification, MaxPool.
    """
    taps, _, _ = window_taps(node)
    z = node.native(0)
    index = node.captured("Indices")
    if node.attr("storage_order"):
        index = _row_major(index, z.shape)
    if node.result().dtype.kind in "iu":
        index = _first_of_lowest(node.result(), index, unfold(places(z.shape), taps, -1))
    empty = _empty(taps, z.shape)
    steps = zip(node.attr("kernel_shape"), *strides_and_dilations(node, len(taps)), strict=True)
    apart = all((k - 1) * d < s for k, s, d in steps)
    place = np.where(empty, -1, index)
    term = Select.of(z.shape, place, whole=not empty.any(), distinct=apart)
    bias = node.cast(np.where(empty, np.finfo(z.dtype).min, 0.0)) if empty.any() else None

    def guards() -> list[Guard]:
        return [contest(z, unfold(places(z.shape), taps, -1), place, what="window")]

    return Affine({0: term}, bias, roundings=0, guards=guards)


def _first_of_lowest(y: Array, index: Array, windows: Array) -> Array:
    """Positions of the first tap where all are the lowest number: some onnxruntimes find none."""
    first = np.take_along_axis(windows, (windows >= 0).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return np.where(y == np.iinfo(y.dtype).min, first, index)


def _row_major(index: Array, shape: Shape) -> Array:
    """Turn positions that count the spatial axes column by column into C order."""
    area = prod(shape[2:])
    plane, inside = np.divmod(index, area)
    order = np.arange(area).reshape(shape[2:]).ravel(order="F")
    place = np.take_along_axis(order, inside.ravel(), axis=0).reshape(index.shape)
    return plane * area + place


def _empty(taps: list[Array], shape: Shape) -> Array:
    """Windows whose dilated taps all lie in the pads: the runtime gives them its lowest number.

    Returns
    -------
    bool array, broadcastable to (N, C, *pooled)
    """
    empty = np.zeros((), dtype=bool)
    for axis, index in enumerate(taps):
        none = ~((index >= 0) & (index < shape[2 + axis])).any(axis=1)
        empty = empty | none.reshape(-1, *(1,) * (len(taps) - 1 - axis))
    return empty


@rule("AveragePool")
def average_pool(node: NodeAtX) -> Affine:
    """Mean of each window, one axis after the other.

    ``x : (N, C, *spatial) -> y : (N, C, *pooled)``. With ``count_include_pad`` a window is
    divided by its taps inside of the padded input, else by those inside of the input.
    Source: ONNX operator specification, AveragePool.
    """
    taps, begin, end = window_taps(node)
    padded, ceil = bool(node.attr("count_include_pad")), bool(node.attr("ceil_mode"))
    steps: list[LinearMap] = [identity(node.shape(0))]
    for i, index in enumerate(taps):
        shape = steps[-1].out_shape
        low, high = 0.0, float(shape[i + 2])
        if padded:
            # Only ceil_mode makes windows overhang the pads; without it all taps count.
            low, high = -begin[i], high + end[i] if ceil else np.inf
        steps.append(Along.of(shape, i + 2, _mean(index, shape[i + 2], low, high)))
    return Affine({0: chain(*steps[1:])}, roundings=2 + len(taps))


def _mean(index: Array, size: int, low: float, high: float) -> sp.csr_array:
    """Rows that average an axis over their taps; taps in low..high count, those outside read 0."""
    counts = ((index >= low) & (index < high)).sum(axis=1)
    row, tap = np.nonzero((index >= 0) & (index < size))
    entries = (1 / counts[row], (row, index[row, tap]))
    return sp.csr_array(entries, shape=(len(index), size))


@rule("GlobalMaxPool")
def global_max_pool(node: NodeAtX) -> Affine:
    """Largest entry of each channel."""
    return over_axes(node, 1, tuple(range(2, len(node.shape(0)))))


@rule("GlobalAveragePool")
def global_average_pool(node: NodeAtX) -> Affine:
    """Mean of each channel."""
    return average(node, tuple(range(2, len(node.shape(0)))))
