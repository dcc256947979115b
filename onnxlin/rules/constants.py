"""Operators whose output does not move with x, except where it jumps."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array, Broadcast, Diagonal, LinearMap, Reshape, Select, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.arithmetic import weighted
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.pointwise import nearest
from onnxlin.rules.registry import rule


def held(node: NodeAtX) -> list[Affine]:
    """Every output as it is at x."""
    node.ignore(*node.node.given)  # the results have them
    present = [i for i, result in enumerate(node.results) if result is not None]
    return [
        Affine({}, node.cast(node.result(i)) if i in present else None, roundings=0)
        for i in range(len(node.results))
    ]


rule("Shape", "Size", "NonZero", "EyeLike", "ConstantOfShape", status="constant")(held)
rule("ArgMax", "ArgMin", "NonMaxSuppression", status="constant")(held)
rule("And", "Or", "Xor", "Not", "IsNaN", "IsInf", status="constant")(held)
rule("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", status="constant")(held)
rule("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", status="constant")(held)
rule("Constant", "HannWindow", "HammingWindow", "BlackmanWindow", status="constant")(held)
rule("MelWeightMatrix", "BitCast", status="constant")(held)
rule("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", status="random")(
    held
)
rule("Bernoulli", "Multinomial", status="random")(held)


def _staircase(node: NodeAtX, distance: Array) -> Affine:
    """Hold a step function, with the distance of each entry from the nearest jump."""
    # Adding 0 makes -0 the 0 that it is equal to: equal pieces are told by their bytes.
    return Affine({}, node.cast(node.result()) + 0, margin=lambda: distance, roundings=0)


def _from_whole(z: Array) -> Array:
    """Distance from the nearest whole number."""
    return np.abs(z - np.rint(z))


@rule("Sign", status="constant")
def sign(node: NodeAtX) -> Affine:
    """-1, 0 or 1; it jumps at 0."""
    return _staircase(node, np.abs(node.native(0)))


@rule("Floor", "Ceil", status="constant")
def floor(node: NodeAtX) -> Affine:
    """Whole number below or above; it jumps at whole numbers."""
    z = node.native(0).astype(np.float64)
    return _staircase(node, _from_whole(z))


@rule("Round", status="constant")
def round_(node: NodeAtX) -> Affine:
    """Nearest whole number; it jumps half way between them."""
    z = node.native(0).astype(np.float64)
    return _staircase(node, np.abs(z - np.floor(z) - 0.5))


@rule("OneHot")
def one_hot(node: NodeAtX) -> Affine:
    """One of two values: ``on`` at the index along the new axis, ``off`` elsewhere.

    Index and depth may be floats; cut off to whole numbers they jump there.
    """
    axis = node.attr("axis") % len(node.out_shape)
    depth = node.out_shape[axis]
    index = np.expand_dims(node.native(0).astype(np.int64), axis)
    place = np.arange(depth).reshape(-1, *(1,) * (len(node.out_shape) - 1 - axis))
    on = (index == place) | (index == place - depth)
    moving = [node.native(i).ravel().astype(np.float64) for i in (0, 1) if node.traced(i)]
    margin = (lambda: _from_whole(np.concatenate(moving))) if moving else None
    return Affine({2: Select.of((2,), on.astype(np.int64))}, margin=margin, roundings=0)


@rule("Range")
def range_(node: NodeAtX) -> Affine:
    """``start + i delta`` for i below a count; it jumps where the count changes."""
    node.ignore("stash_type")  # a matter of rounding only
    (n,) = node.out_shape
    start, limit, delta = (node.native(i).astype(np.float64).item() for i in range(3))
    steps = Diagonal.of((n,), node.cast(np.arange(n)))
    spread = [chain(Reshape(node.shape(i), (1,)), Broadcast((1,), (n,))) for i in (0, 2)]
    terms: dict[int, LinearMap] = {0: spread[0], 2: chain(spread[1], steps)}
    ends = np.array([limit - start - i * delta for i in (n - 1, n)])
    # The runtime adds delta up, one step after the other.
    return Affine(terms, margin=lambda: np.abs(ends).min(), roundings=2 + n)


@rule("Mod")
def mod(node: NodeAtX) -> Affine:
    """``a - b q``, with the quotient q cut off (``fmod``) or rounded down to a whole number.

    Margin: distance of a from where q jumps, the multiples of b; with ``fmod`` 0 is none of them.
    """
    a, b, y = (v.astype(np.float64) for v in (node.native(0), node.native(1), node.result()))
    q = np.rint((a - y) / b)
    below, above = np.abs(y), np.abs(b) - np.abs(y)
    if node.attr("fmod"):
        below = np.where(q == 0, np.inf, below)
    return Affine(
        {0: weighted(node, 0), 1: weighted(node, 1, -q)}, margin=lambda: nearest(below, above)
    )
