"""Sums and means over axes: the adjoint of broadcasting."""

from __future__ import annotations

from math import prod

from onnxlin.primitives import Broadcast, Diagonal, LinearMap, Reshape, Shape, adjoint, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import kept_shape, of_nothing, reduced_axes
from onnxlin.rules.registry import rule


def total(node: NodeAtX, axes: Shape) -> LinearMap:
    """Sum input 0 over axes, in the output's shape."""
    shape = node.shape(0)
    kept = kept_shape(shape, axes)
    return chain(adjoint(Broadcast(kept, shape)), Reshape(kept, node.out_shape))


def average(node: NodeAtX, axes: Shape) -> Affine:
    """Mean of input 0 over axes."""
    if (empty := of_nothing(node, axes)) is not None:
        return empty
    weight = node.cast(1 / prod(node.shape(0)[axis] for axis in axes))
    return Affine({0: chain(total(node, axes), Diagonal.of(node.out_shape, weight))})


@rule("ReduceSum", constant=(1,))
def reduce_sum(node: NodeAtX) -> Affine:
    """Sum over axes."""
    return Affine({0: total(node, reduced_axes(node))})


@rule("ReduceMean", constant=(1,))
def reduce_mean(node: NodeAtX) -> Affine:
    """Mean over axes."""
    return average(node, reduced_axes(node))
