"""Softmax, its logarithm, and its hard form."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import (
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    Shape,
    Sum,
    adjoint,
    chain,
    identity,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import kept_shape
from onnxlin.rules.guards import contest
from onnxlin.rules.moving.moves import places
from onnxlin.rules.registry import rule


def centred(p: Array, axes: tuple[int, ...], dtype: np.dtype) -> LinearMap:
    """``z -> z - <p, z>``, the p-weighted mean over axes taken away."""
    again = Broadcast(kept_shape(p.shape, axes), p.shape)
    minus = Diagonal.of(again.in_shape, np.asarray(-1, dtype=dtype))
    return Sum.of(identity(p.shape), chain(Diagonal.of(p.shape, p), adjoint(again), minus, again))


def evenly_centred(shape: Shape, axes: tuple[int, ...], dtype: np.dtype) -> LinearMap:
    """``z -> z - mean z``, over axes."""
    again = Broadcast(kept_shape(shape, axes), shape)
    count = max(again.rows // max(again.columns, 1), 1)
    minus = Diagonal.of(again.in_shape, np.asarray(-1 / count, dtype=dtype))
    return Sum.of(identity(shape), chain(adjoint(again), minus, again))


@rule("Softmax", status="smooth")
def softmax(node: NodeAtX) -> Affine:
    """``exp(z) / sum exp(z)`` along an axis; ``frozen`` holds the weights."""
    z, axis = node.value(0), node.attr("axis") % len(node.out_shape)
    p = node.computed(lambda: _weights(z, axis))
    p = np.where(np.isnan(p), 0, p)  # the runtime's answer for a row that is masked as a whole
    if node.frozen:
        # The exponent z - max z is rounded, which moves its exponential by that many units.
        top = np.maximum(z.max(axis=axis, keepdims=True), np.finfo(z.dtype).min)
        size = p * (1 + np.where(p > 0, np.abs(z - top), 0))
        return Affine({}, p, None, size, roundings=16)
    jacobian = chain(centred(p, (axis,), node.dtype), Diagonal.of(p.shape, p))
    return tangent(node, jacobian, p)


def _weights(z: Array, axis: int) -> Array:
    """Softmax; 0 for rows that a mask put at -inf as a whole, where the runtime has NaN."""
    top = z.max(axis=axis, keepdims=True, initial=-np.inf)
    masked = np.isneginf(top)
    weights = np.exp(np.where(masked, 0, z - np.where(masked, 0, top)))
    return weights / weights.sum(axis=axis, keepdims=True) * ~masked


def log_sum_exp(z: Array, axis: int | tuple[int, ...]) -> Array:
    """``log sum exp z`` over axes, which are kept."""
    top = z.max(axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    return top + np.log(np.exp(z - top).sum(axis=axis, keepdims=True))


@rule("LogSoftmax", status="smooth")
def log_softmax(node: NodeAtX) -> Affine:
    """``z - log sum exp(z)`` along an axis; ``frozen`` holds the logarithm."""
    z, axis = node.value(0), node.attr("axis") % len(node.out_shape)
    lse = log_sum_exp(z, axis)
    if node.frozen:
        return Affine({0: identity(z.shape)}, node.cast(-lse), roundings=16)
    p = node.cast(np.exp(z - lse))
    return tangent(node, centred(p, (axis,), node.dtype), node.cast(z - lse))


def tangent(node: NodeAtX, jacobian: LinearMap, value: Array, roundings: int = 16) -> Affine:
    """Touch a function of input 0 with this Jacobian and this value at x."""
    z = node.value(0)
    # Entries that a mask put at -inf have no weight, and 0 * inf is no number.
    z = np.where(np.isfinite(z), z, 0)
    size = np.abs(value) + jacobian.absolute().matvec(np.abs(z)[None])[0]
    return Affine({0: jacobian}, value - jacobian.matvec(z[None])[0], None, size, roundings)


@rule("Hardmax", status="constant")
def hardmax(node: NodeAtX) -> Affine:
    """1 at the largest entry of an axis, 0 elsewhere; it jumps where another one overtakes it."""
    z, axis = node.native(0), node.attr("axis")
    at = np.moveaxis(places(z.shape), axis, -1)
    hit = np.moveaxis(node.result(), axis, -1).argmax(axis=-1)[..., None]
    winner = np.take_along_axis(at, hit, axis=-1)[..., 0]
    guards = lambda: [contest(z, at, winner)]
    return Affine({}, node.cast(node.result()), guards=guards)
