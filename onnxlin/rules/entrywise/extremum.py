"""Largest and smallest: the output copies the winner at x."""

from __future__ import annotations

from math import prod

import numpy as np

from onnxlin.primitives import Array, Reshape, Select, Shape, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import of_nothing, reduced_axes
from onnxlin.rules.guards import Guard, contest
from onnxlin.rules.moving.indexing import chosen
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import rule


@rule("Max")
def maximum(node: NodeAtX) -> Affine:
    """Entrywise largest of the inputs, broadcast; ties go to the first."""
    return _operands(node, 1)


@rule("Min")
def minimum(node: NodeAtX) -> Affine:
    """Entrywise smallest of the inputs, broadcast; ties go to the first."""
    return _operands(node, -1)


def _operands(node: NodeAtX, sign: int) -> Affine:
    rivals = [node.native(i) for i in range(len(node.operands))]
    stack = sign * np.stack(np.broadcast_arrays(*rivals), axis=-1)
    winner = stack.argmax(axis=-1)
    terms = {i: chosen(node, i, winner == i) for i in range(len(rivals))}
    return Affine(terms, guards=lambda: _ahead(node, stack, winner, sign), roundings=0)


def _ahead(node: NodeAtX, stack: Array, winner: Array, sign: int) -> list[Guard]:
    """The winner of every entry is ahead of each operand."""
    found = []
    for rival in range(len(node.operands)):
        real = (winner != rival) & np.isfinite(stack[..., rival])
        gaps = {
            i: weighted(node, i, sign * (1.0 * (winner == i) - (rival == i)))
            for i in range(len(node.operands))
        }
        found.append(Guard(gaps, np.where(real, 0.0, -np.inf), np.inf, "contest"))
    return found


@rule("ReduceMax", constant=(1,))
def reduce_max(node: NodeAtX) -> Affine:
    """Largest entry over axes; ties go to the first."""
    return over_axes(node, 1, reduced_axes(node))


@rule("ReduceMin", constant=(1,))
def reduce_min(node: NodeAtX) -> Affine:
    """Smallest entry over axes; ties go to the first."""
    return over_axes(node, -1, reduced_axes(node))


def over_axes(node: NodeAtX, sign: int, axes: Shape) -> Affine:
    """Copy the largest (sign 1) or smallest (sign -1) entry over axes."""
    if (empty := of_nothing(node, axes)) is not None:
        return empty
    z = node.native(0)
    rivals = _last(sign * z, axes)
    winner = rivals.argmax(axis=-1)[..., None]
    place = _last(np.arange(z.size).reshape(z.shape), axes)
    index = np.take_along_axis(place, winner, axis=-1)[..., 0]
    guards = lambda: [contest(z, place, index, sign)]
    term = chain(Select.of(z.shape, index), Reshape(index.shape, node.out_shape))
    return Affine({0: term}, guards=guards, roundings=0)


def _last(x: Array, axes: Shape) -> Array:
    """Gather the axes into one, the last: ``(*others, entries)``."""
    others = [i for i in range(x.ndim) if i not in axes]
    shape = tuple(x.shape[i] for i in others)
    count = prod(x.shape[i] for i in axes)
    return x.transpose(*others, *axes).reshape(*shape, count)
