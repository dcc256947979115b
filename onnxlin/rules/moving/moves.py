"""Operators that only move entries, at positions that do not change with x or that x decides."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from onnxlin.primitives import Along, Array, LinearMap, Reshape, Select, Shape, adjoint, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.guards import Guard, ahead, contest, side
from onnxlin.rules.padding import positions, spatial_attr, strides_and_dilations
from onnxlin.rules.registry import rule


def places(shape: Shape) -> Array:
    """Return the C-order position of every entry, in an array of that shape."""
    return np.arange(prod(shape)).reshape(shape)


def _read(node: NodeAtX, index: Array) -> Affine:
    """Copy input 0 at flat positions."""
    return Affine({0: Select.of(node.shape(0), index)}, roundings=0)


def elements(shape: Shape, index: Array, axis: int) -> Array:
    """Flat positions that an index array along one axis points at, negatives from the back.

    The index may be shorter than ``shape`` along the other axes.
    """
    box = tuple(slice(None if i == axis else n) for i, n in enumerate(index.shape))
    found: Array = np.take_along_axis(places(shape)[box], index, axis)
    return found


def slices(shape: Shape, index: Array, batch_dims: int = 0) -> Array:
    """Flat positions of the slices that the last axis of an index array points at.

    ``index : (*batch, *k, depth) -> (*batch, *k, *shape[batch_dims + depth:])``.
    """
    *k, depth = index.shape[batch_dims:]
    steps = [prod(shape[i + 1 :]) for i in range(batch_dims + depth)]
    batch = places(index.shape[:batch_dims]) * prod(shape[batch_dims:])
    found = batch.reshape((*batch.shape, *(1,) * len(k)))
    for i, (n, step) in enumerate(zip(shape[batch_dims:], steps[batch_dims:], strict=False)):
        found = found + index[..., i] % n * step
    slice_shape = shape[batch_dims + depth :]
    return found.reshape((*found.shape, *(1,) * len(slice_shape))) + places(slice_shape)


@rule("GatherElements", constant=(1,))
def gather_elements(node: NodeAtX) -> Affine:
    """Entries at one position along an axis for each output."""
    shape = node.shape(0)
    index = elements(shape, node.constant(1), node.attr("axis") % len(shape))
    return _read(node, index)


@rule("GatherND", constant=(1,))
def gather_nd(node: NodeAtX) -> Affine:
    """Slices at tuples of positions."""
    return _read(node, slices(node.shape(0), node.constant(1), node.attr("batch_dims")))


@rule("Compress", constant=(1,))
def compress(node: NodeAtX) -> Affine:
    """Slices along an axis, or entries of the flattened input, where a condition holds."""
    shape, axis = node.shape(0), node.attr("axis")
    condition = node.native(1)
    if axis is None:
        # What lies beyond the end of a short condition is left out.
        return _read(node, np.compress(condition[: prod(shape)], np.arange(prod(shape))))
    axis = axis % len(shape)
    (kept,) = np.nonzero(condition[: shape[axis]])
    return Affine({0: Along.take(shape, axis, kept)}, roundings=0)


@rule("ReverseSequence", constant=(1,))
def reverse_sequence(node: NodeAtX) -> Affine:
    """The first entries along the time axis backwards, as many as each batch entry says."""
    time_axis, batch_axis = node.attr("time_axis"), node.attr("batch_axis")
    at = np.moveaxis(places(node.shape(0)), (batch_axis, time_axis), (0, 1))
    lengths = node.constant(1)[:, None]
    time = np.arange(at.shape[1])
    order = np.where(time < lengths, lengths - 1 - time, time)
    turned = np.take_along_axis(at, order.reshape(*order.shape, *(1,) * (at.ndim - 2)), axis=1)
    return _read(node, np.moveaxis(turned, (0, 1), (batch_axis, time_axis)))


@rule("Trilu", constant=(1,))
def trilu(node: NodeAtX) -> Affine:
    """Upper or lower triangle of the last two axes, zeros elsewhere."""
    k = int(node.constant(1).item()) if node.has(1) else 0
    shape = node.shape(0)
    inside = (np.triu if node.attr("upper") else np.tril)(np.ones(shape[-2:], dtype=bool), k)
    # A product with a mask would turn infinite entries outside of the triangle into NaN.
    return _read(node, np.where(inside, places(shape), -1))


@rule("MaxUnpool", constant=(1, 2))
def max_unpool(node: NodeAtX) -> Affine:
    """Entries put at flat positions of the output, zeros elsewhere; of several the last stays."""
    node.ignore("kernel_shape", "pads", "strides")  # the output shape has them
    source = np.full(prod(node.out_shape), -1)
    index = node.constant(1).ravel()
    source[index] = np.arange(index.size)
    return _read(node, source.reshape(node.out_shape))


@rule("TopK", captures=("Indices",))
def top_k(node: NodeAtX) -> Affine:
    """The largest or smallest entries along an axis, which the runtime has picked and ordered.

    It changes where two picked ones swap places, or another one overtakes the last.
    """
    node.ignore("sorted")  # the runtime's choice has it
    z, axis = node.native(0), node.attr("axis") % len(node.shape(0))
    index, largest = node.captured("Indices"), node.attr("largest")
    return Affine(
        {0: Select.of(z.shape, elements(z.shape, index, axis))},
        guards=lambda: _ranking(z, index, axis, 1 if largest else -1),
        roundings=0,
    )


def _ranking(z: Array, index: Array, axis: int, sign: int) -> list[Guard]:
    """Picked entries keep their order, and none of the others overtakes the least of them."""
    at = np.moveaxis(places(z.shape), axis, -1)
    picked = np.take_along_axis(at, np.moveaxis(index, axis, -1), axis=-1)
    if not picked.shape[-1]:
        return []
    flat = z.ravel()
    order = ahead(z, picked[..., :-1], picked[..., 1:], sign)
    kept = side(sign * (flat[picked[..., :-1]] - flat[picked[..., 1:]]) >= 0)
    # Of equal ones the last: the order keeps the others ahead of it.
    last = picked.shape[-1] - 1 - (sign * flat[picked])[..., ::-1].argmin(axis=-1)[..., None]
    others = at.copy()
    np.put_along_axis(others, np.moveaxis(index, axis, -1), -1, axis=-1)
    least = np.take_along_axis(picked, last, axis=-1)[..., 0]
    return [Guard({0: order}, *kept, "order"), contest(z, others, least, sign, "order")]


@rule("Unique", captures=("indices",))
def unique(node: NodeAtX) -> Sequence[Affine]:
    """First occurrence of every value, or of every slice along an axis; the rest is integers.

    It changes where two values, or the entries that tell two slices apart, meet.
    """
    node.ignore("sorted")  # the order of the indices has it
    z, axis, index = node.native(0), node.attr("axis"), node.captured("indices")
    if axis is None:
        lines = z.reshape(-1, 1)
        taken: LinearMap = Select.of(z.shape, index)
    else:
        axis = axis % z.ndim
        lines = np.moveaxis(z, axis, 0).reshape(z.shape[axis], -1)
        taken = Along.take(z.shape, axis, index)
    at = places(z.shape) if axis is None else np.moveaxis(places(z.shape), axis, 0)
    return [Affine({0: taken}, roundings=0, guards=lambda: telling_apart(z, lines, at))]


def telling_apart(z: Array, lines: Array, at: Array) -> list[Guard]:
    """Neighbours in the order of lines keep it: they differ where they first do, or are equal.

    ``lines : (n, k)``, values of z, ``at`` their flat positions.
    """
    at = at.reshape(lines.shape)
    order = np.lexsort(lines.T[::-1]) if lines.size else np.zeros(0, dtype=np.int64)
    if len(order) < 2:
        return []
    first, second = at[order[1:]], at[order[:-1]]
    equal = lines[order[1:]] == lines[order[:-1]]
    before = np.cumprod(equal, axis=1).astype(bool)
    told = ~before & np.concatenate([np.ones_like(before[:, :1]), before[:, :-1]], axis=1)
    low = np.where(before | told, 0.0, -np.inf)
    return [Guard({0: ahead(z, first, second)}, low, np.where(before, 0.0, np.inf), "order", 1)]


@rule("Col2Im", constant=(1, 2))
def col2im(node: NodeAtX) -> Affine:
    """Add up columns of blocks where they lie in the image: the adjoint of cutting blocks out.

    ``x : (N, C * prod(block), L) -> y : (N, C, *image)``.
    """
    image, block = (tuple(int(n) for n in node.constant(i)) for i in (1, 2))
    rank = len(image)
    strides, dilations = strides_and_dilations(node, rank)
    pads = spatial_attr(node, "pads", 2 * rank, 0)
    reach = [(k - 1) * d + 1 for k, d in zip(block, dilations, strict=True)]
    padded = [n + a + b for n, a, b in zip(image, pads[:rank], pads[rank:], strict=True)]
    counts = [(n - r) // s + 1 for n, r, s in zip(padded, reach, strides, strict=True)]
    windows = zip(counts, block, strides, dilations, pads[:rank], strict=True)
    cut = Select.of(node.out_shape, _blocks(node.out_shape, [positions(*w) for w in windows]))
    return Affine({0: chain(Reshape(node.shape(0), cut.out_shape), adjoint(cut))})


def _blocks(shape: Shape, taps: list[Array]) -> Array:
    """Flat position in the image of every entry of every block, -1 outside.

    Returns
    -------
    integer array, shape (N, C, *block, *places)
    """
    rank = len(taps)
    flat, inside = np.zeros((), dtype=np.int64), np.ones((), dtype=bool)
    for axis, index in enumerate(taps):
        shaped = [1] * (2 * rank)
        shaped[axis], shaped[rank + axis] = index.shape[1], index.shape[0]
        place = index.T.reshape(shaped)
        inside = inside & (place >= 0) & (place < shape[2 + axis])
        flat = flat * shape[2 + axis] + place
    planes = places(shape[:2]).reshape(*shape[:2], *(1,) * (2 * rank)) * prod(shape[2:])
    return np.where(inside, planes + flat, -1)
