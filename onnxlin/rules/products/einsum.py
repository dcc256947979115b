"""Einstein sums as matrix products, one for each operand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from onnxlin.primitives import (
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Select,
    Shape,
    Transpose,
    adjoint,
    applied,
    chain,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.registry import rule

Labels = tuple[int, ...]


@dataclass(frozen=True)
class Equation:
    """Labels of every operand and of the output, as numbers, and their lengths."""

    operands: tuple[Labels, ...]
    output: Labels
    sizes: dict[int, int]


def parse(text: str, shapes: Sequence[Shape]) -> Equation:
    """Read an equation; the axes of an ellipsis get labels of their own, aligned at their ends.

    Source: ONNX operator specification, Einsum.
    """
    left, arrow, right = text.replace(" ", "").partition("->")
    texts = left.split(",")
    hidden = max(len(s) - len(t.replace("...", "")) for t, s in zip(texts, shapes, strict=True))
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." * ("..." in left)
        right += "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    ranks = [len(s) for s in shapes]
    operands = tuple(_labels(t, n) for t, n in zip(texts, ranks, strict=True))
    output = _labels(right, hidden * ("..." in right) + len(right.replace("...", "")))
    sizes: dict[int, int] = {}
    for labels, shape in zip(operands, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    return Equation(operands, output, sizes)


def _labels(text: str, rank: int) -> Labels:
    """Numbers for the axes of one operand: letters by their code, an ellipsis by -1, -2 ... ."""
    before, dots, after = text.partition("...")
    hidden = rank - len(before) - len(after) if dots else 0
    return (*map(ord, before), *range(-hidden, 0), *map(ord, after))


@rule("Einsum", status="smooth", exact_if=lambda traced: sum(traced) < 2)
def einstein_sum(node: NodeAtX) -> Affine:
    """Sum of products over the indices that the output lacks, linear in each operand.

    With several traced operands ``tangent`` is the product rule; ``frozen`` takes an equal share
    of each term, and no bias.
    """
    count = len(node.operands)
    equation = parse(node.attr("equation"), [node.shape(i) for i in range(count)])
    live = [i for i in range(count) if node.traced(i)]
    terms = {i: _side(node, equation, i) for i in live or [0]}
    sums = prod(n for label, n in equation.sizes.items() if label not in equation.output)
    roundings = 4 + count * (sums if count > 2 else 1)
    if len(live) < 2:
        return Affine(terms, roundings=roundings)
    if node.frozen:
        share = Diagonal.of(node.out_shape, node.cast(1 / len(live)))
        return Affine({i: chain(op, share) for i, op in terms.items()}, roundings=roundings)
    z = node.value(live[0])[None]
    value = terms[live[0]].matvec(z)[0]
    size = terms[live[0]].absolute().matvec(np.abs(z))[0]
    return Affine(terms, (1 - len(live)) * value, None, len(live) * size, roundings)


def _side(node: NodeAtX, equation: Equation, i: int) -> LinearMap:
    """The sum as a linear map of operand ``i``, the others at their values."""
    entry, own = _distinct(node.shape(i), equation, i)
    others = [j for j in range(len(node.operands)) if j != i]
    # An axis of length 1 that is broadcast says nothing.
    known = {k for j in others for k in _distinct(node.shape(j), equation, j)[1]}
    # What no other operand and no output knows is summed at once.
    own_sum, rest = _summed(entry.out_shape, own, {*known, *equation.output})
    wanted = tuple(k for k in equation.sizes if k in known and k in {*rest, *equation.output})
    coefficient = _combined(node, equation, others, wanted)
    return chain(entry, own_sum, *_contract(equation, own_sum.out_shape, rest, wanted, coefficient))


def _distinct(shape: Shape, equation: Equation, i: int) -> tuple[LinearMap, Labels]:
    """Take diagonals where a label repeats, and drop axes of length 1 that are broadcast."""
    labels = equation.operands[i]
    kept = tuple(
        dict.fromkeys(k for k, n in zip(labels, shape, strict=True) if _full(equation, k, n))
    )
    index = np.einsum(
        np.arange(prod(shape)).reshape(shape)[_squeezed(equation, labels, shape)],
        _numbers(
            equation, [k for k, n in zip(labels, shape, strict=True) if _full(equation, k, n)]
        ),
        _numbers(equation, kept),
    )
    if len(kept) == sum(_full(equation, k, n) for k, n in zip(labels, shape, strict=True)):
        return Reshape(shape, index.shape), kept
    return Select.of(shape, index), kept


def _full(equation: Equation, label: int, n: int) -> bool:
    return n == equation.sizes[label]


def _squeezed(equation: Equation, labels: Labels, shape: Shape) -> tuple[slice | int, ...]:
    pairs = zip(labels, shape, strict=True)
    return tuple(slice(None) if _full(equation, k, n) else 0 for k, n in pairs)


def _numbers(equation: Equation, labels: Sequence[int]) -> list[int]:
    """Labels as NumPy wants them: small numbers."""
    place = {label: at for at, label in enumerate(equation.sizes)}
    return [place[label] for label in labels]


def _summed(shape: Shape, labels: Labels, known: set[int]) -> tuple[LinearMap, Labels]:
    """Sum over the axes whose labels nobody else has."""
    kept = tuple(n if k in known else 1 for k, n in zip(labels, shape, strict=True))
    rest = tuple(k for k in labels if k in known)
    left = tuple(n for k, n in zip(labels, shape, strict=True) if k in known)
    return chain(adjoint(Broadcast(kept, shape)), Reshape(kept, left)), rest


def _combined(node: NodeAtX, equation: Equation, others: list[int], wanted: Labels) -> Array:
    """Multiply the other operands, as an array with the wanted labels."""
    if not others:
        return node.cast(np.ones(()))
    arguments: list[object] = []
    for j in others:
        entry, labels = _distinct(node.shape(j), equation, j)
        arguments += [applied(entry, node.value(j)), _numbers(equation, labels)]
    return np.einsum(*arguments, _numbers(equation, wanted), optimize=len(others) > 1)  # type: ignore[call-overload]


def _contract(
    equation: Equation, shape: Shape, own: Labels, other: Labels, coefficient: Array
) -> list[LinearMap]:
    """Sum of products of an operand and a coefficient, as one batched matrix product."""
    size, output = equation.sizes, equation.output
    batch = [k for k in own if k in other and k in output]
    inner = [k for k in own if k in other and k not in output]
    free = [k for k in own if k not in other]
    new = [k for k in other if k not in own]

    def lengths(labels: Sequence[int]) -> tuple[int, ...]:
        return tuple(size[k] for k in labels)

    turn = Transpose.of(shape, tuple(own.index(k) for k in (*batch, *free, *inner)))
    rows = (*lengths(batch), prod(lengths(free)), prod(lengths(inner)))
    order = [other.index(k) for k in (*batch, *inner, *new)]
    matrix = coefficient.transpose(order).reshape(*rows[:-2], rows[-1], prod(lengths(new)))
    times = MatMul.of(rows, matrix)
    made = (*batch, *free, *new)
    back = Transpose.of(lengths(made), tuple(made.index(k) for k in output))
    return [
        turn,
        Reshape(turn.out_shape, rows),
        times,
        Reshape(times.out_shape, lengths(made)),
        back,
    ]
