"""Which axes an operator works on, in whatever form a node gives them."""

from __future__ import annotations

from math import prod

import numpy as np

from onnxlin.primitives import Array, Shape
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX


def normalised(axes: Array, rank: int) -> Shape:
    """Axes without negative numbers, in the order given."""
    return tuple(int(a) % rank for a in axes.reshape(-1))


def reduced_axes(node: NodeAtX) -> Shape:
    """Axes that a reduction removes, from its optional input 1: sorted, all where none are given.

    Source: ONNX operator specification, ReduceSum, ``noop_with_empty_axes``.
    """
    node.ignore("keepdims")  # the output shape has it
    rank = len(node.shape(0))
    if not rank:
        node.ignore("noop_with_empty_axes")
        return ()
    noop = bool(node.attr("noop_with_empty_axes"))
    given = normalised(node.constant(1), rank) if node.has(1) else ()
    if given or noop:
        return tuple(sorted(set(given)))
    return tuple(range(rank))


def kept_shape(shape: Shape, axes: Shape) -> Shape:
    """Shape with the reduced axes left in place at length 1."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def of_nothing(node: NodeAtX, axes: Shape) -> Affine | None:
    """A reduction over no entries: a constant, the one that the runtime gives; None of others.

    Runtimes differ in it: the specification leaves the mean and the extrema of nothing undefined.
    """
    shape = node.shape(0)
    if prod(shape[axis] for axis in axes):
        return None
    value = node.cast(node.result())
    size = np.where(np.isfinite(value), np.abs(value), 0)
    return Affine({}, value, bias_size=size, roundings=0)
