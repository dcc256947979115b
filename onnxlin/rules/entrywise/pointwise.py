"""Piecewise-affine activations: on each piece ``y = slope * z + offset``, entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onnxlin.primitives import Array, Diagonal, Sum
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bilinear import product_rule
from onnxlin.rules.guards import Guard, Interval, entrywise, side, sign_of
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import one_of_two, rule


def pieces(
    node: NodeAtX, slope: Array, offset: Array | None, interval: Callable[[], Interval]
) -> Affine:
    """Answer with a slope and an offset for each entry of input 0, and where that holds."""
    shape = node.shape(0)
    scale = Diagonal.of(shape, node.cast(slope))
    bias = None if offset is None else node.cast(offset)
    return Affine({0: scale}, bias, guards=lambda: [entrywise(shape, interval())])


@rule("Relu")
def relu(node: NodeAtX) -> Affine:
    """``max(0, z)``; slope 0 at the tie z = 0."""
    up = node.native(0) > 0
    return pieces(node, up, None, lambda: side(up))


@rule("LeakyRelu")
def leaky_relu(node: NodeAtX) -> Affine:
    """``z`` where z >= 0, else ``alpha * z``."""
    up = node.native(0) >= 0
    return pieces(node, np.where(up, 1.0, node.attr("alpha")), None, lambda: side(up))


@rule("PRelu", status="smooth", exact_if=one_of_two)
def prelu(node: NodeAtX) -> Affine:
    """``z`` where z >= 0, else ``slope * z``; the slope broadcasts to z."""
    up = node.native(0) >= 0
    if not node.traced(1):
        return pieces(node, np.where(up, 1.0, node.value(1)), None, lambda: side(up))
    z, slope = (np.where(up, 0.0, node.value(i)) for i in (0, 1))
    sides = (weighted(node, 0, slope), weighted(node, 1, z))
    below = product_rule(node, (0, lambda: sides[0]), (1, lambda: sides[1]))
    above = weighted(node, 0, up)
    terms = {**below.terms, 0: Sum.of(above, below.terms[0]) if 0 in below.terms else above}
    guards = lambda: [entrywise(node.shape(0), side(up))]
    return replace(below, terms=terms, guards=guards)


@rule("ThresholdedRelu")
def thresholded_relu(node: NodeAtX) -> Affine:
    """``z`` where z > alpha, else 0; it jumps at alpha."""
    alpha = node.attr("alpha")
    up = node.native(0) > alpha
    return pieces(node, up, None, lambda: side(up, alpha))


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
    terms = {0: weighted(node, 0, ~(capped | raised))}
    terms |= {i: weighted(node, i, m) for i, m in ((1, raised), (2, capped)) if node.traced(i)}
    edges = lambda: _edges(node, z >= low, z > high)
    return Affine(terms, node.cast(offset), guards=edges)


def _edges(node: NodeAtX, above: Array, beyond: Array) -> list[Guard]:
    """On which side of its lower edge, and of its upper one, every entry lies."""
    sides = [(i, up) for i, up in ((1, above), (2, beyond)) if node.has(i)]
    guards = [Guard({0: weighted(node, 0), i: weighted(node, i, -1)}, *side(up)) for i, up in sides]
    if len(guards) < 2 or (node.native(1) <= node.native(2)).all():
        return guards
    # The upper edge decides alone where it is the lower one.
    gap = {1: weighted(node, 1), 2: weighted(node, 2, -1)}
    crossed = np.broadcast_to(node.native(1) > node.native(2), node.out_shape)
    return [_unless(crossed, guard) for guard in guards] + [Guard(gap, *side(crossed))]


def _unless(off: Array, guard: Guard) -> Guard:
    return replace(
        guard, low=np.where(off, -np.inf, guard.low), high=np.where(off, np.inf, guard.high)
    )


@rule("HardSigmoid")
def hard_sigmoid(node: NodeAtX) -> Affine:
    """``max(0, min(1, alpha * z + beta))``; slope 0 on both edges."""
    alpha, beta = node.attr("alpha"), node.attr("beta")
    line = alpha * node.native(0) + beta
    inside = (line > 0) & (line < 1)
    offset = np.where(inside, beta, line >= 1)
    zero, one = (-beta / alpha, (1 - beta) / alpha) if alpha else (-np.inf, np.inf)
    below, above = ((line <= 0), (line >= 1)) if alpha > 0 else ((line >= 1), (line <= 0))
    first, last = min(zero, one), max(zero, one)

    def interval() -> Interval:
        low = np.where(below, -np.inf, np.where(above, last, first))
        return low, np.where(below, first, np.where(above, np.inf, last))

    return pieces(node, inside * alpha, offset, interval)


@rule("Abs")
def absolute(node: NodeAtX) -> Affine:
    """``|z|``; slope 0 at the tie z = 0."""
    z = node.native(0)
    return pieces(node, np.sign(z), None, lambda: sign_of(z))


@rule("Shrink")
def shrink(node: NodeAtX) -> Affine:
    """Zero between -lambd and lambd; outside of that moved towards zero by ``bias``."""
    z, lambd = node.native(0), node.attr("lambd")
    outside = np.abs(z) > lambd
    offset = np.where(outside, -np.sign(z) * node.attr("bias"), 0.0)

    def interval() -> Interval:
        low, high = side(z > 0, np.where(z > 0, lambd, -lambd))
        return np.where(outside, low, -lambd), np.where(outside, high, lambd)

    return pieces(node, outside, offset, interval)
