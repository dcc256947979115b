"""Rounding, and the operators that quantise and dequantise.

Under ``rounding="staircase"`` they are locally constant: dependence on x ends at the integers, and
only scales that depend on x go on. Under ``rounding="straight-through"`` an integer tensor counts
as the numbers it holds, and ``q = clip(x / s + z) + r``: the offset r is what rounding did at x,
captured from the run, so that the piece meets the runtime's integers there exactly. Pieces of both
readings touch at the tensors that the runtime had, since its rounding was decided there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from onnxlin.primitives import (
    Along,
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    Reshape,
    Select,
    Shape,
    Sum,
    applied,
    chain,
    identity,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.entrywise.constants import held
from onnxlin.rules.guards import Guard, entrywise, lead, nearest
from onnxlin.rules.registry import STRAIGHT, rule

MICROSOFT = "com.microsoft"


class Real(NamedTuple):
    """Real numbers that follow from inputs of a node: their value, and a map from each input."""

    value: Array
    terms: dict[int, LinearMap]


def limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Smallest and largest number of an integer or narrow float type."""
    info = ml_dtypes.finfo if "float" in dtype.name else ml_dtypes.iinfo
    return float(info(dtype).min), float(info(dtype).max)


def wide(node: NodeAtX, i: int) -> Array:
    """Input ``i`` as the runtime had it, in float64."""
    return node.native(i).astype(np.float64)


def spread(node: NodeAtX, i: int, shape: Shape, axis: int = 0, block: int = 0) -> LinearMap:
    """Lay a scale or zero point out over a tensor: one for all, for an axis, or for a block."""
    given, rank = node.shape(i), len(shape)
    if block and len(given) == rank > 0:
        axis %= rank
        along = Along.take(given, axis, np.arange(shape[axis]) // block)
        return (
            along if along.out_shape == shape else chain(along, Broadcast(along.out_shape, shape))
        )
    if len(given) <= 1:
        n = given[0] if given else 1
        line = tuple(n if n > 1 and k == axis % rank else 1 for k in range(rank))
    else:
        line = (1,) * (rank - len(given)) + given
    return chain(Reshape(given, line), Broadcast(line, shape))


def scaled(node: NodeAtX, op: LinearMap, weight: Array | float) -> LinearMap:
    """Follow a map by a multiplication."""
    return chain(op, Diagonal.of(op.out_shape, node.cast(weight)))


def dequantised(
    node: NodeAtX, q: int, s: int | None, z: int, *, axis: int = 0, block: int = 0
) -> Real:
    """``(q - z) s`` for three inputs of a node, scale and zero point optional."""
    shape = node.shape(q)
    centred, scale = wide(node, q), np.ones((1,) * len(shape))
    terms: dict[int, LinearMap] = {}
    if s is not None:
        scaling = spread(node, s, shape, axis, block)
        scale = applied(scaling, wide(node, s))
    if node.has(z):
        offset = spread(node, z, shape, axis, block)
        centred = centred - applied(offset, wide(node, z))
        if node.traced(z):
            terms[z] = scaled(node, offset, -scale)
    if node.traced(q):
        terms[q] = scaled(node, identity(shape), scale)
    if s is not None and node.traced(s):
        both = bool(terms) and node.frozen
        terms = {i: scaled(node, op, 0.5) for i, op in terms.items()} if both else terms
        terms[s] = scaled(node, scaling, centred * (0.5 if both else 1))
    return Real(centred * scale, terms)


def rounded(result: Array, line: Array) -> Array:
    """What rounding made of real numbers: the runtime's result, if that is a neighbour of them.

    A result that is further away than the next number of its type is not taken over, so that a
    wrong rule, or a kernel whose sums overflow, is seen when the node is verified.
    """
    low, high = limits(result.dtype)
    clipped = np.clip(line, low, high)
    gap = 1.0
    if "float" in result.dtype.name:
        info: Any = ml_dtypes.finfo(result.dtype)  # type: ignore[no-untyped-call]
        gap = float(info.eps) * np.maximum(np.abs(clipped), float(info.smallest_normal))
    return clipped + np.clip(result.astype(np.float64) - clipped, -gap, gap)


def meet(
    node: NodeAtX,
    terms: dict[int, LinearMap],
    target: Array,
    margin: Callable[[], Array] | None = None,
    roundings: int = 4,
) -> Affine:
    """Answer with these terms, and the bias with which they meet a target at x."""
    bias, size = target.astype(np.float64), np.zeros(())
    for i, op in terms.items():
        z = wide(node, i)
        bias = bias - applied(op, z)
        size = size + applied(op.absolute(), np.abs(z))
    # The bias is a difference: what rounds in it is as large as what it is made of.
    return Affine(terms, node.cast(bias), margin, np.abs(target) + size, roundings)


def quantised(
    node: NodeAtX, real: Real, s: int, z: int, *, axis: int = 0, block: int = 0
) -> Affine:
    """``clip(real / s + z)`` plus the captured rounding, s and z inputs of the node.

    Margin: distance of the real number from where it saturates.
    """
    result, shape = node.result(), real.value.shape
    low, high = limits(result.dtype)
    scaling = spread(node, s, shape, axis, block)
    scale = applied(scaling, wide(node, s))
    line = real.value / scale
    # Kernels divide in float32, in which the largest number of a calibrated range is the last code;
    # in float64 it may lie beyond, and its slope would be 0.
    place = line.astype(np.float32).astype(np.float64)
    if node.has(z):
        offset = spread(node, z, shape, axis, block)
        zero = applied(offset, wide(node, z))
        line, place = line + zero, place + zero
    inside = (place >= low) & (place <= high)
    terms = {i: scaled(node, op, inside / scale) for i, op in real.terms.items()}
    if node.traced(z):
        terms[z] = scaled(node, offset, inside)
    if node.traced(s) and not node.frozen:
        terms[s] = scaled(node, scaling, np.where(inside, -real.value / scale**2, 0))
    margin = lambda: nearest(place - low, place - high) * np.abs(scale)
    return meet(node, terms, rounded(result, line), margin)


def _blocks(node: NodeAtX) -> tuple[int, int]:
    node.ignore("output_dtype", "saturate", "precision")  # the result has them
    axis, block = node.attr("axis"), node.attr("block_size")
    return 1 if axis is None else axis, block or 0  # other domains have no blocks


def quantize_linear(node: NodeAtX) -> Affine:
    """``clip(round(x / s) + z)``; a scale that depends on x is held by ``frozen``.

    Source: ONNX operator specification, QuantizeLinear.
    """
    axis, block = _blocks(node)
    terms: dict[int, LinearMap] = {0: identity(node.shape(0))} if node.traced(0) else {}
    return quantised(node, Real(wide(node, 0), terms), 1, 2, axis=axis, block=block)


def _constant_scale(traced: Any) -> bool:
    return not (traced[1] and (traced[0] or (len(traced) > 2 and traced[2])))


def dequantize_linear(node: NodeAtX) -> Affine:
    """``(q - z) s``. Source: ONNX operator specification, DequantizeLinear."""
    axis, block = _blocks(node)
    real = dequantised(node, 0, 1, 2, axis=axis, block=block)
    return meet(node, real.terms, real.value)


def staircase(node: NodeAtX) -> list[Affine]:
    """What the runtime made of x; it jumps half way between two steps."""
    axis, block = _blocks(node)
    low, high = limits(node.result().dtype)
    if node.traced(1) or "float" in node.result().dtype.name:
        why = "the size of its steps depends on x"
        return [replace(piece, guards=why) for piece in held(node)]

    def guards() -> list[Guard]:
        shape, step = node.shape(0), node.result().astype(np.float64)
        scale = applied(spread(node, 1, shape, axis, block), wide(node, 1))
        zero = applied(spread(node, 2, shape, axis, block), wide(node, 2)) if node.has(2) else 0.0
        below = np.where(step <= low, -np.inf, step - zero - 0.5)
        above = np.where(step >= high, np.inf, step - zero + 0.5)
        return [entrywise(shape, (below * scale, above * scale), "step")]

    return [replace(piece, guards=guards) for piece in held(node)]


for _domain in ("", MICROSOFT):
    rule("QuantizeLinear", domain=_domain, status="constant")(staircase)
    rule("QuantizeLinear", domain=_domain, status="straight-through", table=STRAIGHT)(
        quantize_linear
    )
    rule("DequantizeLinear", domain=_domain, status="smooth", exact_if=_constant_scale)(
        dequantize_linear
    )


@rule("DynamicQuantizeLinear")
@rule("DynamicQuantizeLinear", status="straight-through", table=STRAIGHT)
def dynamic_quantize_linear(node: NodeAtX) -> list[Affine]:
    """Quantise to uint8 with the scale and zero point that x itself asks for.

    ``s = (max(x, 0) - min(x, 0)) / 255``, ``z = clip(-min(x, 0) / s)``. The runtime takes s = 1
    where all of x is 0. Source: ONNX operator specification, DynamicQuantizeLinear.
    """
    x, shape, s = wide(node, 0), node.shape(0), node.result(1).astype(np.float64)
    ends = np.concatenate([[0.0], x.ravel()])
    low, high = (Select.of(shape, np.reshape(i - 1, ())) for i in (ends.argmin(), ends.argmax()))
    step = scaled(node, Sum.of(high, scaled(node, low, -1.0)), 1 / 255)
    zero: LinearMap
    y: LinearMap
    zero, y = scaled(node, low, -1 / s), scaled(node, identity(shape), 1 / s)
    if not node.frozen:
        zero = Sum.of(zero, scaled(node, step, ends.min() / s**2))
        y = Sum.of(y, scaled(node, chain(step, Broadcast((), shape)), -x / s**2))
    y = Sum.of(y, chain(zero, Broadcast((), shape)))
    margin = lambda: np.minimum(lead(ends), lead(-ends))
    lowest, span = ends.min(), ends.max() - ends.min()
    level = rounded(node.result(2), -lowest / s)
    targets = [
        (y, rounded(node.result(0), x / s + level)),
        (step, np.where(span > 0, span / 255, 1.0)),
        (zero, level),
    ]
    found = [meet(node, {0: op}, target, margin) for op, target in targets]
    return [replace(piece, guards="the size of its steps depends on x") for piece in found]


@rule("Round", "Floor", "Ceil", status="straight-through", table=STRAIGHT)
def rounding(node: NodeAtX) -> Affine:
    """``x + r``, with r the step to the whole number that x went to."""
    z = wide(node, 0)
    step = np.clip(node.result().astype(np.float64) - z, -1, 1)
    return meet(node, {0: identity(z.shape)}, z + step)


@rule("Cast", "CastLike", status="straight-through", table=STRAIGHT)
def cast(node: NodeAtX) -> Affine:
    """``clip(x) + r``, r the step to the number of the narrow type; out of its range constant."""
    node.ignore("to", "saturate", "round_mode")
    z, (low, high) = wide(node, 0), limits(node.result().dtype)
    inside = (z >= low) & (z <= high)
    # The specification leaves open what becomes of numbers out of range.
    target = np.where(inside, rounded(node.result(), z), node.result().astype(np.float64))
    term = Diagonal.of(z.shape, node.cast(inside))
    return meet(node, {0: term}, target, lambda: nearest(z - low, z - high))
