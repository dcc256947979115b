"""Norms, logarithms of sums, and products over axes."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array, Diagonal, Shape, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import of_nothing, reduced_axes
from onnxlin.rules.guards import entrywise, sign_of
from onnxlin.rules.reductions.reduce import total
from onnxlin.rules.reductions.softmax import log_sum_exp, tangent
from onnxlin.rules.registry import rule
from onnxlin.rules.smooth import ratio


def weighed(node: NodeAtX, axes: Shape, weights: Array) -> Affine:
    """Sum of input 0 times these weights over axes, without a bias."""
    return Affine({0: chain(Diagonal.of(node.shape(0), node.cast(weights)), total(node, axes))})


def touching(
    node: NodeAtX, axes: Shape, slopes: Array, value: Array, roundings: int = 16
) -> Affine:
    """Touch a reduction with these slopes and this value, which has the axes kept."""
    jacobian = chain(Diagonal.of(node.shape(0), node.cast(slopes)), total(node, axes))
    return tangent(node, jacobian, node.cast(value).reshape(node.out_shape), roundings)


@rule("ReduceL1")
def reduce_l1(node: NodeAtX) -> Affine:
    """Sum of absolute values; slope 0 at the ties z = 0."""
    z, axes = node.native(0), reduced_axes(node)
    found = weighed(node, axes, np.sign(z))
    return Affine(found.terms, guards=lambda: [entrywise(z.shape, sign_of(z))])


@rule("ReduceL2", status="smooth")
def reduce_l2(node: NodeAtX) -> Affine:
    """Length: both readings are ``<z / |z|, .>``, and the zero map at z = 0."""
    z, axes = node.value(0), reduced_axes(node)
    # Scaled by the largest entry, so that squares neither overflow nor vanish.
    top = np.abs(z).max(axis=axes, keepdims=True, initial=0)
    unit = ratio(z, np.broadcast_to(top, z.shape), 0)
    length = np.sqrt((unit * unit).sum(axis=axes, keepdims=True))
    found = weighed(node, axes, ratio(unit, np.broadcast_to(length, z.shape), 0))
    return Affine(found.terms, roundings=6)


@rule("ReduceSumSquare", status="smooth")
def reduce_sum_square(node: NodeAtX) -> Affine:
    """``sum z z``; ``frozen`` holds one of the two factors."""
    z, axes = node.value(0), reduced_axes(node)
    if node.frozen:
        return weighed(node, axes, z)
    return touching(node, axes, 2 * z, (z * z).sum(axis=axes, keepdims=True), roundings=4)


@rule("ReduceLogSum", status="smooth")
def reduce_log_sum(node: NodeAtX) -> Affine:
    """``log sum z``; ``frozen`` holds the value."""
    axes = reduced_axes(node)
    if (empty := of_nothing(node, axes)) is not None:
        return empty
    z = node.value(0)
    whole = z.sum(axis=axes, keepdims=True)
    value = np.log(whole)
    # An error of the sum, relative to the sum of absolute values, adds to its logarithm.
    spread = np.maximum(np.abs(value), 1) + ratio(np.abs(z).sum(axes, keepdims=True), whole, 1)
    size = np.abs(spread).reshape(node.out_shape)
    if node.frozen:
        count = z.size // max(whole.size, 1)
        return Affine({}, node.cast(value).reshape(node.out_shape), None, size, 16 + count)
    found = touching(node, axes, np.broadcast_to(1 / whole, z.shape), value)
    return Affine(found.terms, found.bias, None, size, 16)


@rule("ReduceLogSumExp", status="smooth")
def reduce_log_sum_exp(node: NodeAtX) -> Affine:
    """``log sum exp z``, with softmax weights for slopes; ``frozen`` holds the value."""
    axes = reduced_axes(node)
    if (empty := of_nothing(node, axes)) is not None:
        return empty
    z = node.value(0)
    value = log_sum_exp(z, axes) if axes else z
    # The runtime's sum of n exponentials is off by n roundings, which the logarithm makes absolute.
    count = z.size // max(value.size, 1)
    if node.frozen:
        kept = node.cast(value).reshape(node.out_shape)
        return Affine({}, kept, None, np.maximum(np.abs(kept), 1), 16 + count)
    found = touching(node, axes, np.exp(z - value), value)
    assert found.bias_size is not None
    return Affine(found.terms, found.bias, None, np.maximum(found.bias_size, 1), 16)


@rule("ReduceProd", status="smooth")
def reduce_prod(node: NodeAtX) -> Affine:
    """Product over axes, whose slopes are the products of all the others, zeros included.

    ``frozen`` takes an equal share of each of the n terms, and no bias.
    """
    axes = reduced_axes(node)
    if (empty := of_nothing(node, axes)) is not None:
        return empty
    z = node.value(0)
    others = _products_of_others(z, axes)
    count = max(z.size // max(np.prod(node.out_shape, dtype=int), 1), 1)
    if node.frozen:
        return weighed(node, axes, others / count)
    return touching(node, axes, others, z.prod(axis=axes, keepdims=True), roundings=count + 4)


def _products_of_others(z: Array, axes: Shape) -> Array:
    """For each entry, the product of all other entries of its group."""
    kept = [i for i in range(z.ndim) if i not in axes]
    order = (*kept, *axes)
    turned = z.transpose(order)
    lines = turned.reshape(*turned.shape[: len(kept)], -1)
    before, after = exclusive_products(lines), exclusive_products(lines[..., ::-1])[..., ::-1]
    return (before * after).reshape(turned.shape).transpose(np.argsort(order))


def exclusive_products(lines: Array) -> Array:
    """Product of all entries before each one along the last axis: 1 for the first."""
    shifted = np.concatenate([np.ones_like(lines[..., :1]), lines[..., :-1]], axis=-1)
    return np.cumprod(shifted, axis=-1)[..., : lines.shape[-1]]
