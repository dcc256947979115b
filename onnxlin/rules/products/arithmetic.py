"""Sums, differences and products with constants, with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from onnxlin.graph import is_float
from onnxlin.primitives import (
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    applied,
    chain,
    identity,
    weighable,
)
from onnxlin.rules.absorbed import may_swallow, swallows
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bilinear import product_rule
from onnxlin.rules.guards import Interval, cut_off, entrywise, sign_of
from onnxlin.rules.registry import one_of_two, rule


def weighted(node: NodeAtX, i: int, weight: Array | float | None = None) -> LinearMap:
    """Broadcast input ``i`` to the output shape and scale it."""
    spread: list[LinearMap] = []
    if node.shape(i) != node.out_shape:
        spread.append(Broadcast(node.shape(i), node.out_shape))
    if weight is not None:
        spread.append(Diagonal.of(node.out_shape, node.cast(weight)))
    return chain(*spread) if spread else identity(node.out_shape)


@rule("Add", "Sum")
def add(node: NodeAtX) -> Affine:
    """Sum of all inputs."""
    return _total(node, (1,) * len(node.operands))


@rule("Sub")
def subtract(node: NodeAtX) -> Affine:
    """First input minus second."""
    return _total(node, (1, -1))


def _total(node: NodeAtX, signs: Sequence[int]) -> Affine:
    """Sum of the inputs with signs; what it swallows has no slope left to carry."""
    kept = _seen(node)
    whole = all(seen is None for seen in kept.values())
    weights = {i: None if sign > 0 else sign for i, sign in enumerate(signs)}
    if whole:
        return Affine({i: weighted(node, i, weight) for i, weight in weights.items()})
    terms, bias, lost = {}, node.cast(node.result()), np.zeros((), bool)
    for i, sign in enumerate(signs):
        seen = kept[i]
        terms[i] = weighted(node, i, weights[i] if seen is None else sign * node.cast(seen))
        bias = bias - applied(terms[i], weighable(node.value(i)))
        lost = lost if seen is None else lost | ~seen
    return Affine(terms, np.where(lost, bias, 0).astype(node.dtype))


def _seen(node: NodeAtX) -> dict[int, Array | None]:
    """Which entries of a sum change with each input; None if all do."""
    every, eps = range(len(node.operands)), node.precision
    traced = [i for i in every if node.traced(i)]
    # What is the same for every x is looked at first: of most sums nothing else need be.
    moving = [i for i in every if not node.operand(i).fixed]
    if len(moving) == 1:
        large = [node.native(j) for j in every if j not in moving]
    else:
        large = [node.at_most()] if traced else []
    seen: dict[int, Array | None] = dict.fromkeys(every)
    if any(may_swallow(total, eps) for total in large):
        for i in traced:
            lost = swallows(node.result(), node.native(i), eps)
            seen[i] = None if isinstance(lost, np.ndarray) and not lost.any() else ~lost
    return seen


@rule("Mean")
def mean(node: NodeAtX) -> Affine:
    """Mean of all inputs."""
    n = len(node.operands)
    return Affine({i: weighted(node, i, 1 / n) for i in range(n)})


@rule("Mul", status="smooth", exact_if=one_of_two)
def multiply(node: NodeAtX) -> Affine:
    """Product of two tensors; exact where one is constant."""
    return product_rule(
        node,
        (0, lambda: weighted(node, 0, node.value(1))),
        (1, lambda: weighted(node, 1, node.value(0))),
        alone=True,
    )


@rule("Div", status="smooth", exact_if=lambda traced: not traced[1])
def divide(node: NodeAtX) -> Affine:
    """Quotient of two tensors; exact where the divisor is constant, and ``frozen`` holds it."""
    b = node.value(1)
    over = weighted(node, 0, 1 / b)
    if node.operand(1).fixed or (node.frozen and node.traced(1)):
        return Affine({0: over})
    value = node.value(0) / b
    under = weighted(node, 1, -value / b)
    if not node.traced(1):
        return Affine({0: over}, held={1: under})
    return Affine({0: over, 1: under}, value, roundings=6)


@rule("Neg")
def negate(node: NodeAtX) -> Affine:
    """``-x``."""
    return Affine({0: weighted(node, 0, -1)})


@rule("Identity", "Cast", "CastLike")
def same(node: NodeAtX) -> list[Affine]:
    """The input itself; casts between floats round, which counts as rounding error.

    A sequence comes as so many inputs.
    """
    node.ignore("to", "saturate", "round_mode")
    pieces = [Affine({i: identity(node.shape(i))}) for i in range(len(node.results))]
    result = node.results[0]
    if node.op_type == "Identity" or result is None or is_float(result.dtype):
        return pieces
    z = node.native(0)
    cut: Callable[[Array], Interval] = sign_of if result.dtype == bool else cut_off
    return [replace(pieces[0], guards=lambda: [entrywise(z.shape, cut(z), "step")])]


@rule("Dropout")
def dropout(node: NodeAtX) -> Affine:
    """The input itself: at inference nothing is dropped."""
    node.ignore("seed")
    if node.has(2) and bool(node.constant(2)):
        raise node.refuse("training_mode is true, so the output is random")
    return Affine({0: identity(node.shape(0))})
