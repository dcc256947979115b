"""Piecewise-affine activations: on each piece ``y = slope * z + offset``, entry by entry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxlin.primitives import Array, Diagonal, Sum
from onnxlin.rules.affine import Affine
from onnxlin.rules.arithmetic import weighted
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bilinear import product_rule
from onnxlin.rules.registry import one_of_two, rule


def nearest(*distances: Array) -> Array:
    """Distance to the nearest of several kinks."""
    return np.abs(np.stack(np.broadcast_arrays(*distances))).min(axis=0)


def pieces(node: NodeAtX, slope: Array, offset: Array | None, *kinks: Array | float) -> Affine:
    """Answer with a slope and an offset for each entry of input 0, and where its kinks lie."""
    z = node.native(0)
    scale = Diagonal.of(z.shape, node.cast(slope))
    bias = None if offset is None else node.cast(offset)
    return Affine({0: scale}, bias, margin=lambda: nearest(*(z - kink for kink in kinks)))


@rule("Relu")
def relu(node: NodeAtX) -> Affine:
    """``max(0, z)``; slope 0 at the tie z = 0."""
    return pieces(node, node.native(0) > 0, None, 0)


@rule("LeakyRelu")
def leaky_relu(node: NodeAtX) -> Affine:
    """``z`` where z >= 0, else ``alpha * z``."""
    return pieces(node, np.where(node.native(0) >= 0, 1.0, node.attr("alpha")), None, 0)


@rule("PRelu", status="smooth", exact_if=one_of_two)
def prelu(node: NodeAtX) -> Affine:
    """``z`` where z >= 0, else ``slope * z``; the slope broadcasts to z."""
    up = node.native(0) >= 0
    if not node.traced(1):
        return pieces(node, np.where(up, 1.0, node.value(1)), None, 0)
    z, slope = (np.where(up, 0.0, node.value(i)) for i in (0, 1))
    sides = (weighted(node, 0, slope), weighted(node, 1, z))
    below = product_rule(node, (0, lambda: sides[0]), (1, lambda: sides[1]))
    above = weighted(node, 0, up)
    terms = {**below.terms, 0: Sum.of(above, below.terms[0]) if 0 in below.terms else above}
    return replace(below, terms=terms, margin=lambda: np.abs(node.native(0)))


@rule("ThresholdedRelu")
def thresholded_relu(node: NodeAtX) -> Affine:
    """``z`` where z > alpha, else 0; it jumps at alpha."""
    alpha = node.attr("alpha")
    return pieces(node, node.native(0) > alpha, None, alpha)


@rule("Clip")
def clip(node: NodeAtX) -> Affine:
    """``min(max(z, low), high)``; slope 1 on both edges, which may depend on x themselves."""
    z = node.native(0)
    low = node.native(1) if node.has(1) else np.array(-np.inf)
    high = node.native(2) if node.has(2) else np.array(np.inf)
    # With low > high the specification makes everything high, so high decides first.
    capped, raised = z > high, z < low
    raised &= ~capped & (low <= high)
    capped |= low > high
    held = [np.zeros(()) if node.traced(i) else edge for i, edge in ((1, low), (2, high))]
    offset = np.where(capped, held[1], np.where(raised, held[0], 0.0))
    found = pieces(node, ~(capped | raised), offset, low, high)
    moving = {i: weighted(node, i, m) for i, m in ((1, raised), (2, capped)) if node.traced(i)}
    return replace(found, terms={**found.terms, **moving})


@rule("HardSigmoid")
def hard_sigmoid(node: NodeAtX) -> Affine:
    """``max(0, min(1, alpha * z + beta))``; slope 0 on both edges."""
    alpha, beta = node.attr("alpha"), node.attr("beta")
    line = alpha * node.native(0) + beta
    inside = (line > 0) & (line < 1)
    offset = np.where(inside, beta, line >= 1)
    kinks = (-beta / alpha, (1 - beta) / alpha) if alpha else (np.inf,)
    return pieces(node, inside * alpha, offset, *kinks)


@rule("Abs")
def absolute(node: NodeAtX) -> Affine:
    """``|z|``; slope 0 at the tie z = 0."""
    return pieces(node, np.sign(node.native(0)), None, 0)


@rule("Shrink")
def shrink(node: NodeAtX) -> Affine:
    """Zero between -lambd and lambd; outside of that moved towards zero by ``bias``."""
    z, lambd = node.native(0), node.attr("lambd")
    outside = np.abs(z) > lambd
    offset = np.where(outside, -np.sign(z) * node.attr("bias"), 0.0)
    return pieces(node, outside, offset, -lambd, lambd)
