"""Operators whose output does not move with x, except where it jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onnxlin.primitives import Broadcast, Diagonal, LinearMap, Reshape, Select, chain, identity
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.guards import Guard, Interval, contest, cut_off, entrywise, scaled, side, sign_of
from onnxlin.rules.moving.moves import places
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import RuleFunction, rule


def held(node: NodeAtX) -> list[Affine]:
    """Every output as it is at x."""
    node.ignore(*node.node.given)  # the results have them
    present = [i for i, result in enumerate(node.results) if result is not None]
    return [
        Affine({}, node.cast(node.result(i)) if i in present else None, roundings=0)
        for i in range(len(node.results))
    ]


def unguarded(why: str, pieces: Callable[[NodeAtX], list[Affine]] = held) -> RuleFunction:
    """Hold every output, and say why nobody can tell where it jumps."""
    return lambda node: [replace(piece, guards=why) for piece in pieces(node)]


rule("Shape", "Size", "EyeLike", "ConstantOfShape", status="constant")(held)
rule("SequenceLength", "OptionalHasElement", status="constant")(held)
rule("NonMaxSuppression", status="constant")(unguarded("it compares quotients of areas"))
rule("And", "Or", "Xor", "Not", "IsNaN", "IsInf", status="constant")(held)
rule("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", status="constant")(held)
rule("Constant", "HannWindow", "HammingWindow", "BlackmanWindow", status="constant")(held)
rule("MelWeightMatrix", status="constant")(held)
rule("BitCast", status="constant")(unguarded("it reads the bits of a number"))
rule("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", status="random")(
    held
)
rule("Bernoulli", "Multinomial", status="random")(held)


@rule("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", status="constant")
def comparison(node: NodeAtX) -> list[Affine]:
    """True or false; it may change where the two inputs meet."""
    return [replace(piece, guards=lambda: [_apart(node)]) for piece in held(node)]


def _apart(node: NodeAtX) -> Guard:
    """Which of two inputs is larger; which side a tie belongs to, the result says."""
    true, kind = node.result(), node.op_type
    difference = {0: weighted(node, 0), 1: weighted(node, 1, -1)}
    if kind == "Equal":
        a, b = (node.native(i).astype(np.float64) for i in (0, 1))
        low, high = side(a > b)
        return Guard(difference, np.where(true, 0, low), np.where(true, 0, high), "comparison")
    return Guard(difference, *side(true == kind.startswith("Greater")), "comparison")


@rule("ArgMax", "ArgMin", status="constant")
def arg_max(node: NodeAtX) -> list[Affine]:
    """Where the largest or smallest entry of an axis stands; it jumps where another overtakes."""
    node.ignore("select_last_index", "keepdims")
    sign, axis = 1 if node.op_type == "ArgMax" else -1, node.attr("axis") % len(node.shape(0))

    def guards() -> list[Guard]:
        z = node.native(0)
        at = np.moveaxis(places(z.shape), axis, -1)
        hit = node.result().reshape(*at.shape[:-1], 1)
        return [contest(z, at, np.take_along_axis(at, hit, axis=-1)[..., 0], sign)]

    return [replace(piece, guards=guards) for piece in held(node)]


@rule("NonZero", status="constant")
def non_zero(node: NodeAtX) -> list[Affine]:
    """Where the entries that are not 0 stand."""
    guards = lambda: [entrywise(node.shape(0), sign_of(node.native(0)), "comparison")]
    return [replace(piece, guards=guards) for piece in held(node)]


def _staircase(node: NodeAtX, interval: Callable[[], Interval]) -> Affine:
    """Hold a step function, with the step of every entry."""
    guards = lambda: [entrywise(node.shape(0), interval(), "step")]
    # Adding 0 makes -0 the 0 that it is equal to: equal pieces are told by their bytes.
    return Affine({}, node.cast(node.result()) + 0, roundings=0, guards=guards)


@rule("Sign", status="constant")
def sign(node: NodeAtX) -> Affine:
    """-1, 0 or 1; it jumps at 0."""
    return _staircase(node, lambda: sign_of(node.native(0)))


@rule("Floor", "Ceil", status="constant")
def floor(node: NodeAtX) -> Affine:
    """Whole number below or above; it jumps at whole numbers."""
    y, up = node.result().astype(np.float64), node.op_type == "Floor"
    return _staircase(node, lambda: (y - (not up), y + up))


@rule("Round", status="constant")
def round_(node: NodeAtX) -> Affine:
    """Nearest whole number; it jumps half way between them."""
    y = node.result().astype(np.float64)
    return _staircase(node, lambda: (y - 0.5, y + 0.5))


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

    def guards() -> list[Guard]:
        moving = [i for i in (0, 1) if node.traced(i)]
        return [
            Guard({i: identity(node.shape(i))}, *cut_off(node.native(i)), "step") for i in moving
        ]

    return Affine({2: Select.of((2,), on.astype(np.int64))}, guards=guards, roundings=0)


@rule("Range")
def range_(node: NodeAtX) -> Affine:
    """``start + i delta`` for i below a count; it jumps where the count changes."""
    node.ignore("stash_type")  # a matter of rounding only
    (n,) = node.out_shape
    delta = node.native(2).astype(np.float64).item()
    steps = Diagonal.of((n,), node.cast(np.arange(n)))
    spread = [chain(Reshape(node.shape(i), (1,)), Broadcast((1,), (n,))) for i in (0, 2)]
    terms: dict[int, LinearMap] = {0: spread[0], 2: chain(spread[1], steps)}

    def guards() -> list[Guard]:
        sign = np.sign(delta)
        each = [Diagonal.of(node.shape(i), np.asarray(sign)) for i in range(3)]
        # The last entry lies before the limit, the next one would not.
        ends = [{0: scaled(each[0], -1), 1: each[1], 2: scaled(each[2], -i)} for i in (n - 1, n)]
        before = Guard(ends[0], 0.0 if n else -np.inf, np.inf, "step")
        return [before, Guard(ends[1], -np.inf, 0.0, "step")]

    # The runtime adds delta up, one step after the other.
    return Affine(terms, guards=guards, roundings=2 + n)


@rule("Mod")
def mod(node: NodeAtX) -> Affine:
    """``a - b q``, with the quotient q cut off (``fmod``) or rounded down to a whole number.

    It jumps where a is a multiple of b; with ``fmod`` 0 is none of them.
    """
    a, b, y = (v.astype(np.float64) for v in (node.native(0), node.native(1), node.result()))
    q = np.rint((a - y) / b)
    # y has the sign of b, with fmod that of a.
    sign = np.where((a if node.attr("fmod") else b) + np.zeros_like(y) < 0, -1.0, 1.0)
    free = (q == 0) if node.attr("fmod") else np.zeros(y.shape, bool)

    def guards() -> list[Guard]:
        rest = {0: weighted(node, 0, sign), 1: weighted(node, 1, -q * sign)}
        left = {
            0: weighted(node, 0, -sign),
            1: weighted(node, 1, np.sign(b) + q * sign),
        }
        found = [Guard(rest, np.where(free, -np.inf, 0), np.inf, "step")]
        found += [Guard(left, 0.0, np.inf, "step")]
        if node.attr("fmod"):  # from 0 on to the other side
            other = {0: weighted(node, 0, sign), 1: weighted(node, 1, np.sign(b) - q * sign)}
            found += [Guard(other, np.where(free, 0, -np.inf), np.inf, "step")]
        return found

    return Affine({0: weighted(node, 0), 1: weighted(node, 1, -q)}, guards=guards)
