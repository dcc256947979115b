"""Choose, repeat and repack entries by position: Slice, Split, Concat, Gather, Where ..."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from onnxlin.primitives import (
    Along,
    Array,
    Broadcast,
    Crop,
    LinearMap,
    Reshape,
    Select,
    adjoint,
    chain,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import normalised
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import rule


def chosen(node: NodeAtX, i: int, mask: Array) -> LinearMap:
    """Copy input ``i``, broadcast to the output, where the mask is true."""
    if node.traced(i):
        return weighted(node, i, mask)
    # A constant may hold infinities that are never chosen, and 0 * inf is no number.
    shape = node.shape(i)
    place = np.broadcast_to(np.arange(node.operand(i).native.size).reshape(shape), node.out_shape)
    return Select.of(shape, np.where(mask, place, -1))


@rule("Where")
def where(node: NodeAtX) -> Affine:
    """Entries of input 1 where the condition holds at x, of input 2 elsewhere."""
    mask = np.broadcast_to(node.native(0), node.out_shape)
    return Affine({1: chosen(node, 1, mask), 2: chosen(node, 2, ~mask)}, roundings=0)


@rule("Concat")
def concat(node: NodeAtX) -> Affine:
    """Inputs side by side along an axis."""
    axis = node.attr("axis") % len(node.out_shape)
    sizes = [node.shape(i)[axis] for i in range(len(node.operands))]
    places = enumerate(zip(accumulate(sizes, initial=0), sizes, strict=False))
    terms = {i: adjoint(Crop.along(node.out_shape, axis, at, n)) for i, (at, n) in places}
    return Affine(terms, roundings=0)


@rule("Split", constant=(1,))
def split(node: NodeAtX) -> list[Affine]:
    """One piece an output, cut along an axis."""
    node.ignore("num_outputs")  # the shapes of the outputs have it
    shape = node.shape(0)
    axis = node.attr("axis") % len(shape)
    sizes = [out[axis] for out in node.out_shapes]
    places = zip(accumulate(sizes, initial=0), sizes, strict=False)
    return [Affine({0: Crop.along(shape, axis, at, n)}, roundings=0) for at, n in places]


@rule("Slice", constant=(1, 2, 3, 4))
def slice_(node: NodeAtX) -> Affine:
    """A strided box; negative starts count from the back, negative steps walk back."""
    shape = node.shape(0)
    starts = node.constant(1)  # the output shape has where each axis ends
    axes = node.constant(3) if node.has(3) else np.arange(len(starts))
    steps = node.constant(4) if node.has(4) else np.ones(len(starts), dtype=np.int64)
    start, step = [0] * len(shape), [1] * len(shape)
    for axis, first, stride in zip(normalised(axes, len(shape)), starts, steps, strict=True):
        start[axis] = _clamped(int(first), shape[axis], backwards=stride < 0)
        step[axis] = int(stride)
    return Affine({0: Crop(shape, node.out_shape, tuple(start), tuple(step))}, roundings=0)


def _clamped(first: int, size: int, *, backwards: bool) -> int:
    """First entry of a slice. Unlike Python's, one that walks back starts at 0 or later."""
    first = first + size if first < 0 else first
    return min(max(first, 0), size - 1 if backwards else size)


@rule("Expand")
def expand(node: NodeAtX) -> Affine:
    """Broadcast to a shape."""
    return Affine({0: Broadcast(node.shape(0), node.out_shape)}, roundings=0)


@rule("Tile", constant=(1,))
def tile(node: NodeAtX) -> Affine:
    """Repeat the whole input along each axis."""
    shape, repeats = node.shape(0), node.constant(1)
    apart = tuple(int(n) for size in shape for n in (1, size))
    spread = tuple(int(n) for pair in zip(repeats, shape, strict=True) for n in pair)
    repeat = (Reshape(shape, apart), Broadcast(apart, spread), Reshape(spread, node.out_shape))
    return Affine({0: chain(*repeat)}, roundings=0)


@rule("Gather", constant=(1,))
def gather(node: NodeAtX) -> Affine:
    """Read slices along an axis at constant positions, negative ones from the back.

    ``x : (*before, n, *after), indices : k -> y : (*before, *k, *after)``.
    """
    shape = node.shape(0)
    axis = node.attr("axis") % len(shape)
    index = node.constant(1).ravel().astype(np.int64)
    index = np.where(index < 0, index + shape[axis], index)
    lines: LinearMap = Along.take(shape, axis, index)
    if len(index) == 1 and node.operand(1).fixed:
        lines = Crop.along(shape, axis, int(index[0]), 1)
    return Affine({0: chain(lines, Reshape(lines.out_shape, node.out_shape))}, roundings=0)
