"""Normalisations by statistics of the entries themselves.

``tangent`` differentiates the statistics; ``frozen`` holds 1 / spread, and centring stays linear.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import (
    Along,
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    Reshape,
    Shape,
    Sum,
    adjoint,
    chain,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import kept_shape, normalised
from onnxlin.rules.images.pool import window_taps
from onnxlin.rules.normalisation.standardise import Standardised, standardise
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.reductions.softmax import tangent
from onnxlin.rules.registry import rule
from onnxlin.rules.smooth import ratio


def scaled(node: NodeAtX, at: Standardised, across: Shape) -> Affine:
    """``v * scale + shift``: scale and shift, inputs 1 and 2, one number a channel."""
    found = weighted_value(node, at, node.value(1).reshape(across))
    spread = chain(Reshape(node.shape(2), across), Broadcast(across, node.out_shape))
    return replace(found, terms={**found.terms, 2: spread})


def broadcast_scaled(node: NodeAtX, at: Standardised) -> Affine:
    """``v * scale + shift``, each broadcast by NumPy's rule; the shift may be absent."""
    found = weighted_value(node, at, _aligned(node.value(1), len(node.shape(0))))
    shift = {2: weighted(node, 2)} if node.has(2) else {}
    return replace(found, terms={**found.terms, **shift})


def weighted_value(node: NodeAtX, at: Standardised, scale: Array) -> Affine:
    """``v * scale``, with a scale that broadcasts to the input; each of both may be traced."""
    shape = node.shape(0)
    value = at.value.reshape(shape)
    standardised = chain(
        Reshape(shape, at.shape),
        at.held() if node.frozen else at.jacobian(),
        Reshape(at.shape, shape),
        Diagonal.of(shape, scale),
    )
    spread = (Reshape(node.shape(1), scale.shape), Broadcast(scale.shape, shape))
    terms = {0: standardised, 1: chain(*spread, Diagonal.of(shape, value))}
    live = [i for i in (0, 1) if node.traced(i)]
    kept = {i: terms[i] for i in live or [1]}
    if node.frozen and len(live) == 2:
        kept = {i: _half(node, op) for i, op in kept.items()}
    bias = np.zeros_like(value)
    if not node.frozen and live:
        left = at.offset().reshape(shape) if 0 in kept else value
        bias = scale * (left - value if 1 in kept else left)
    size = np.abs(scale) * at.size.reshape(shape)
    formed = {1: chain(*spread, Diagonal.of(shape, at.size.reshape(shape)))} if 1 in live else {}
    return Affine(kept, node.cast(bias), None, size, roundings=12, formed=formed)


def _half(node: NodeAtX, op: LinearMap) -> LinearMap:
    return chain(op, Diagonal.of(node.out_shape, node.cast(0.5)))


def _channels(node: NodeAtX) -> Shape:
    """Shape in which one number a channel broadcasts to the input."""
    return (1, node.shape(0)[1], *(1,) * (len(node.shape(0)) - 2))


def _aligned(scale: Array, rank: int) -> Array:
    """The same with axes of length 1 in front."""
    return scale.reshape((1,) * (rank - scale.ndim) + scale.shape)


@rule("LayerNormalization", status="smooth")
def layer_normalization(node: NodeAtX) -> list[Affine]:
    """Standardised over the axes from ``axis`` on; also the mean, and 1 / spread.

    ``x : (*outer, *inner), scale, shift`` broadcastable to x.
    """
    node.ignore("stash_type")
    rank = len(node.shape(0))
    axes = tuple(range(node.attr("axis") % rank, rank))
    at = standardise(node.value(0), axes, node.attr("epsilon"))
    found = [broadcast_scaled(node, at)]
    over = Broadcast(at.mean.shape, at.shape)
    count = max(at.value.size // max(at.mean.size, 1), 1)
    weight = Diagonal.of(at.mean.shape, node.cast(1 / count))
    found.append(Affine({0: chain(adjoint(over), weight)}))
    size = at.inverse * (1 + at.size.max(axis=axes, keepdims=True, initial=0) ** 2)
    if node.frozen:
        found.append(Affine({}, at.inverse, None, size, 12 + count))
    else:
        inverse = tangent(node, at.inverse_jacobian(), at.inverse)
        found.append(Affine(inverse.terms, inverse.bias, None, size, 12))
    return found


@rule("RMSNormalization", status="smooth")
def rms_normalization(node: NodeAtX) -> Affine:
    """Divided by the root of the mean square over the axes from ``axis`` on, and scaled."""
    node.ignore("stash_type")
    rank = len(node.shape(0))
    axes = tuple(range(node.attr("axis") % rank, rank))
    at = standardise(node.value(0), axes, node.attr("epsilon"), centre=False)
    return broadcast_scaled(node, at)


@rule("InstanceNormalization", status="smooth")
def instance_normalization(node: NodeAtX) -> Affine:
    """Standardised over the spatial axes of every sample and channel, then scaled and shifted."""
    axes = tuple(range(2, len(node.shape(0))))
    return scaled(node, standardise(node.value(0), axes, node.attr("epsilon")), _channels(node))


@rule("GroupNormalization", status="smooth")
def group_normalization(node: NodeAtX) -> Affine:
    """Standardised over groups of channels and the spatial axes, then scaled and shifted."""
    node.ignore("stash_type")
    n, channels, *spatial = node.shape(0)
    groups = node.attr("num_groups")
    z = node.value(0).reshape(n, groups, channels // groups, *spatial)
    axes = tuple(range(2, z.ndim))
    return scaled(node, standardise(z, axes, node.attr("epsilon")), _channels(node))


@rule("MeanVarianceNormalization", status="smooth")
def mean_variance_normalization(node: NodeAtX) -> Affine:
    """Standardised over ``axes``; 1e-9 is added to the spread."""
    axes = normalised(np.asarray(node.attr("axes")), len(node.shape(0)))
    at = standardise(node.value(0), axes, 1e-9, outside=True)
    if node.frozen:
        return Affine({0: at.held()}, np.zeros_like(at.value), None, at.size, 12)
    found = tangent(node, at.jacobian(), at.value)
    return Affine(found.terms, found.bias, None, at.size, 12)


@rule("LpNormalization", status="smooth")
def lp_normalization(node: NodeAtX) -> Affine:
    """Divided by the norm along an axis, 1 or 2; zero where the norm is."""
    z, axis = node.value(0), node.attr("axis") % len(node.shape(0))
    two = node.attr("p") == 2
    length = (z * z if two else np.abs(z)).sum(axis, keepdims=True)
    length = np.sqrt(length) if two else length
    inverse = ratio(np.ones_like(length), length, 0)
    over = Diagonal.of(z.shape, inverse)
    if node.frozen:
        return Affine({0: over}, roundings=6)
    value = z * inverse
    slopes = value if two else np.sign(z)
    spread = Broadcast(length.shape, z.shape)
    along = chain(
        Diagonal.of(z.shape, -slopes), adjoint(spread), spread, Diagonal.of(z.shape, value)
    )
    return tangent(node, chain(Sum.of(over, chain(along, over)), _same(node)), value)


def _same(node: NodeAtX) -> LinearMap:
    return Reshape(node.shape(0), node.out_shape)


@rule("LRN", status="smooth")
def local_response_normalization(node: NodeAtX) -> Affine:
    """``x / (bias + alpha / size * sum of squares of near channels) ** beta``.

    Source: ONNX operator specification, LRN.
    """
    z, size, beta = node.value(0), node.attr("size"), node.attr("beta")
    alpha = node.attr("alpha") / size
    channels = np.arange(z.shape[1])
    apart = channels - channels[:, None]
    near = (apart >= -((size - 1) // 2)) & (apart <= size - 1 - (size - 1) // 2)
    window = Along.of(z.shape, 1, sp.csr_array(near.astype(float)))
    base = node.attr("bias") + alpha * window.matvec((z * z)[None])[0]
    gate = node.cast(base**-beta)
    if node.frozen:
        return Affine({0: Diagonal.of(z.shape, gate)}, roundings=16 + size)
    left = Diagonal.of(z.shape, node.cast(-2 * alpha * beta * z * gate / base))
    jacobian = Sum.of(Diagonal.of(z.shape, gate), chain(Diagonal.of(z.shape, z), window, left))
    return tangent(node, jacobian, z * gate)


@rule("GlobalLpPool", status="smooth")
def global_lp_pool(node: NodeAtX) -> Affine:
    """Norm of every channel of every sample; both readings agree."""
    axes = tuple(range(2, len(node.shape(0))))
    shape, kept = node.shape(0), kept_shape(node.shape(0), axes)
    return lp_sum(node, chain(adjoint(Broadcast(kept, shape)), Reshape(kept, node.out_shape)))


def lp_sum(node: NodeAtX, window: LinearMap) -> Affine:
    """``(sum over windows of |z| ** p) ** (1 / p)``, which is its own slopes times z."""
    z, p = node.value(0), node.attr("p")
    # Scaled by the largest entry, so that powers neither overflow nor vanish.
    top = np.abs(z).max(initial=0)
    unit = np.abs(z) / np.where(top == 0, 1, top)
    length = window.matvec((unit**p)[None])[0] ** (1 / p)
    after = ratio(np.ones_like(length), length ** (p - 1), 0)
    before = np.sign(z) * unit ** (p - 1)
    slopes = chain(Diagonal.of(z.shape, node.cast(before)), window)
    return Affine(
        {0: chain(slopes, Diagonal.of(node.out_shape, node.cast(after)))}, roundings=16 + 4 * p
    )


@rule("LpPool", status="smooth")
def lp_pool(node: NodeAtX) -> Affine:
    """Norm of each window."""
    taps, _, _ = window_taps(node)
    steps: list[LinearMap] = [Reshape(node.shape(0), node.shape(0))]
    for i, index in enumerate(taps):
        shape = steps[-1].out_shape
        row, tap = np.nonzero((index >= 0) & (index < shape[i + 2]))
        ones = (np.ones(len(row)), (row, index[row, tap]))
        matrix = sp.csr_array(ones, shape=(len(index), shape[i + 2]))
        steps.append(Along.of(shape, i + 2, matrix))
    return lp_sum(node, chain(*steps))
