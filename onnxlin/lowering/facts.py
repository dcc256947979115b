"""What is known of the tensors of a graph before any run: that they are finite, of one sign.

Where an infinity cannot be, nothing is written into the graph to keep it out of the products.
"""

from __future__ import annotations

from enum import Flag, auto
from functools import reduce
from operator import and_

import numpy as np
import onnx

from onnxlin.lowering.emitter import Array, Emitter
from onnxlin.operators.families import (
    ALONG_AXES,
    COPIES,
    KEEPS_FINITE,
    KEEPS_SCALE,
    KEEPS_SIGN,
    NOT_NEGATIVE,
    SQUASHING,
    TRUTHS,
)

# Sums and products of ordinary numbers stay below what float32 holds; those of masks do not.
ORDINARY = 1e18
# What is made of weights and data. A mask of -1e9 swallows such numbers, one of -1e4 does not.
MODERATE = 1e6
# A divisor that is at least as large leaves an ordinary number finite.
AWAY = 1e-18


class Fact(Flag):
    """What is known of every entry of a tensor."""

    NONE = 0
    FINITE = auto()
    MODERATE = auto()
    NOT_NEGATIVE = auto()
    NOT_POSITIVE = auto()
    NOT_ZERO = auto()
    NUMBER = auto()
    """Neither infinite nor NaN, however large: masks of the lowest float, and sums with them."""


WIDE = 4
"""Bytes of a float that has room for sums of ordinary numbers and the largest of its type."""

A_PART = 2**16
"""Entries that are looked at, at once."""

SIZES = Fact.FINITE | Fact.MODERATE
ALL = ~Fact.NONE


def surely_finite(graph: Emitter, tensor: str) -> bool:
    """Whether a tensor holds neither infinities nor NaN, at any finite x of ordinary size."""
    return Fact.FINITE in facts(graph, tensor)


def facts(graph: Emitter, tensor: str) -> Fact:
    """What follows from the nodes that make a tensor, and from the constants among them."""
    waiting = [tensor]
    while waiting:  # no recursion: graphs are deep
        name = waiting[-1]
        if name in graph.facts:
            waiting.pop()
            continue
        node = None if name in graph.stored else graph.producer(name)
        missing = [] if node is None else [n for n in node.input if n and n not in graph.facts]
        if missing:
            waiting.extend(missing)
            continue
        waiting.pop()
        found = _given(graph, name) if node is None else _made(graph, node)
        graph.facts[name] = found | (Fact.NUMBER if Fact.FINITE in found else Fact.NONE)
    return graph.facts[tensor]


def _given(graph: Emitter, name: str) -> Fact:
    """Of a constant, or of an input, of which it is asked that it be finite."""
    array = graph.stored.get(name)
    return SIZES if array is None else _of(array)


def _of(array: Array) -> Fact:
    if array.dtype.kind not in "fiub":
        return Fact.NONE
    # Of a large weight no copy is made; NaN is the least and the largest of what has any.
    low, high = (float(array.min()), float(array.max())) if array.size else (1.0, -1.0)
    found = Fact.FINITE if low > -ORDINARY and high < ORDINARY else Fact.NONE
    found |= Fact.MODERATE if low > -MODERATE and high < MODERATE else Fact.NONE
    found |= Fact.NOT_NEGATIVE if low >= 0 else Fact.NONE
    found |= Fact.NOT_POSITIVE if high <= 0 else Fact.NONE
    # Sums round back to the largest float of 32 bits where ordinary numbers are added to that.
    wide = array.dtype.itemsize >= WIDE and np.isfinite([low, high]).all()
    found |= Fact.NUMBER if wide else Fact.NONE
    return found | (Fact.NOT_ZERO if _away(array, low, high) else Fact.NONE)


def _away(array: Array, low: float, high: float) -> bool:
    """Whether no entry of an array, which lies between these, is nearly 0."""
    if low > AWAY or high < -AWAY or not array.size:
        return True
    if not low < 0 < high:  # NaN among them
        return False
    flat = array.reshape(-1)
    parts = (flat[start : start + A_PART] for start in range(0, flat.size, A_PART))
    return all((np.abs(part.astype(np.float64)) > AWAY).all() for part in parts)


def _made(graph: Emitter, node: onnx.NodeProto) -> Fact:
    """Of what a node makes, from what is known of its operands."""
    if node.domain:
        return Fact.NONE
    if node.op_type in TRUTHS:
        return SIZES | Fact.NOT_NEGATIVE
    each = [graph.facts[name] for name in _numbers(node) if name]
    common = reduce(and_, each, ALL)
    if node.op_type in SPECIAL:
        return SPECIAL[node.op_type](graph, node, common, each)
    found = common & SIZES if node.op_type in KEEPS_FINITE else Fact.NONE
    found |= common & Fact.NUMBER if node.op_type in KEEPS_SCALE else Fact.NONE
    if node.op_type in SQUASHING and node.op_type in NOT_NEGATIVE and Fact.NUMBER in common:
        found |= SIZES  # what is largest is taken away from all first
    if node.op_type in SQUASHING and node.op_type in NOT_NEGATIVE:
        found |= Fact.MODERATE
    if node.op_type in NOT_NEGATIVE:
        found |= Fact.NOT_NEGATIVE
    if node.op_type in KEEPS_SIGN:
        found |= common & (Fact.NOT_NEGATIVE | Fact.NOT_POSITIVE)
    return found


def _numbers(node: onnx.NodeProto) -> list[str]:
    """Operands whose entries the output is made of; others say which, or where they go.

    An end of a slice is often the largest integer, which says nothing of the slice; and an axis
    counted from the end is negative, which a mean over it need not be.
    """
    names = list(node.input)
    if node.op_type in COPIES | ALONG_AXES:
        return names[:1]
    if node.op_type == "Pad":
        return names[:1] + names[2:3]
    return names[1:] if node.op_type == "Where" else names


def _sum(_: Emitter, __: onnx.NodeProto, common: Fact, each: list[Fact]) -> Fact:
    """Of terms that are not negative one may hold the sum away from 0."""
    found = common & (SIZES | Fact.NOT_NEGATIVE)
    huge = [one for one in each if Fact.FINITE not in one]
    if len(huge) == 1 and Fact.NUMBER in huge[0]:
        found |= Fact.NUMBER
    positive = Fact.NOT_NEGATIVE in common and any(Fact.NOT_ZERO in one for one in each)
    return found | (Fact.NOT_ZERO if positive else Fact.NONE)


def _product(_: Emitter, node: onnx.NodeProto, common: Fact, each: list[Fact]) -> Fact:
    """Squares are not negative, nor are products of numbers of one sign."""
    found, square = common & SIZES, node.input[0] == node.input[1]
    signs = [one & (Fact.NOT_NEGATIVE | Fact.NOT_POSITIVE) for one in each]
    if square or (len(set(signs)) == 1 and signs[0]):
        return found | Fact.NOT_NEGATIVE
    return found | (Fact.NOT_POSITIVE if all(signs) else Fact.NONE)


def _quotient(_: Emitter, __: onnx.NodeProto, common: Fact, each: list[Fact]) -> Fact:
    """Finite where the divisor is held away from 0."""
    found = common & Fact.NOT_NEGATIVE
    return found | (common & SIZES if Fact.NOT_ZERO in each[-1] else Fact.NONE)


def _exponential(_: Emitter, __: onnx.NodeProto, common: Fact, ___: list[Fact]) -> Fact:
    """At most 1 of what is not positive."""
    return Fact.NOT_NEGATIVE | (SIZES if Fact.NOT_POSITIVE in common else Fact.NONE)


def _negative(_: Emitter, __: onnx.NodeProto, common: Fact, ___: list[Fact]) -> Fact:
    found = common & (SIZES | Fact.NOT_ZERO)
    found |= Fact.NOT_POSITIVE if Fact.NOT_NEGATIVE in common else Fact.NONE
    return found | (Fact.NOT_NEGATIVE if Fact.NOT_POSITIVE in common else Fact.NONE)


def _filled(_: Emitter, node: onnx.NodeProto, __: Fact, ___: list[Fact]) -> Fact:
    """Full of one number, 0 if none is told."""
    value = next((a.t for a in node.attribute if a.name == "value"), None)
    return _of(np.zeros(()) if value is None else onnx.numpy_helper.to_array(value))


def _root(_: Emitter, __: onnx.NodeProto, common: Fact, ___: list[Fact]) -> Fact:
    return common if Fact.NOT_NEGATIVE in common else Fact.NONE


def _power(graph: Emitter, node: onnx.NodeProto, _: Fact, each: list[Fact]) -> Fact:
    """Of a constant exponent: whole ones that are not negative, or bases that are positive."""
    exponent = graph.stored.get(node.input[1])
    if exponent is None or exponent.size != 1 or abs(exponent.item()) > 4:
        return Fact.NONE
    base, power = each[0], exponent.item()
    if power >= 0 and (float(power).is_integer() or Fact.NOT_NEGATIVE in base):
        even = Fact.NOT_NEGATIVE if power % 2 == 0 else base & Fact.NOT_NEGATIVE
        return (base & SIZES) | even
    positive = Fact.NOT_NEGATIVE | Fact.NOT_ZERO
    return base & (SIZES | positive) if positive in base else Fact.NONE


def _chosen(graph: Emitter, node: onnx.NodeProto, common: Fact, each: list[Fact]) -> Fact:
    """Of two that share a fact; 0 replaced by what is not 0 leaves no 0."""
    test = graph.producer(node.input[0])
    if test is None or test.op_type != "Equal" or test.input[0] != node.input[2]:
        return common
    zero = graph.stored.get(test.input[1])
    replaced = zero is not None and not zero.any()
    return common | (each[0] & Fact.NOT_ZERO if replaced else Fact.NONE)


SPECIAL = {
    "Add": _sum,
    "Sum": _sum,
    "Mul": _product,
    "Div": _quotient,
    "Reciprocal": _quotient,
    "ConstantOfShape": _filled,
    "Exp": _exponential,
    "Neg": _negative,
    "Sqrt": _root,
    "Where": _chosen,
    "Pow": _power,
}
