"""Matrix products; exact where one side is constant."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from onnxlin.primitives import Array, LinearMap, MatMul, Reshape, Shape, Transpose, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bilinear import product_rule
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import one_of_two, rule


def product(shapes: tuple[Shape, Shape], side: int, constant: Array) -> LinearMap:
    """Multiply operand ``side`` by the constant on its other side, both of rank 2 or more."""
    return MatMul.of(shapes[side], constant, left=side == 1)


def _turn(shape: Shape) -> Transpose:
    """Swap the last two axes."""
    rank = len(shape)
    return Transpose.of(shape, (*range(rank - 2), rank - 1, rank - 2))


@rule("Gemm", status="smooth", exact_if=one_of_two)
def gemm(node: NodeAtX) -> Affine:
    """``alpha A' B' + beta C``, A and B transposed if the attributes say so."""
    flags = (bool(node.attr("transA")), bool(node.attr("transB")))
    first, second = (partial(_gemm_side, node, flags, i) for i in (0, 1))
    found = product_rule(node, (0, first), (1, second))
    terms, beta = dict(found.terms), node.attr("beta")
    if node.has(2) and beta != 0:
        terms[2] = weighted(node, 2, None if beta == 1 else beta)
    return replace(found, terms=terms)


def _gemm_side(node: NodeAtX, flags: tuple[bool, bool], side: int) -> LinearMap:
    """Multiply operand ``side``, turned first if its flag says so, by the value of the other."""
    a, b = (_turn(node.shape(i)).out_shape if flags[i] else node.shape(i) for i in (0, 1))
    other = node.value(1 - side).T if flags[1 - side] else node.value(1 - side)
    alpha = node.attr("alpha")
    times = product((a, b), side, other if alpha == 1 else other * node.cast(alpha))
    return chain(_turn(node.shape(side)), times) if flags[side] else times


@rule("MatMul", status="smooth", exact_if=one_of_two)
def matmul(node: NodeAtX) -> Affine:
    """``A B`` as ``numpy.matmul`` has it: batch axes broadcast, vectors are rows or columns."""
    shapes = (_matrix(node.shape(0), 0), _matrix(node.shape(1), 1))
    first, second = (partial(_matmul_side, node, shapes, i) for i in (0, 1))
    return product_rule(node, (0, first), (1, second), alone=True)


def _matmul_side(node: NodeAtX, shapes: tuple[Shape, Shape], side: int) -> LinearMap:
    """Multiply operand ``side`` by the value of the other one."""
    times = product(shapes, side, node.value(1 - side).reshape(shapes[1 - side]))
    before = Reshape(node.shape(side), shapes[side])
    after = Reshape(times.out_shape, node.out_shape)
    plain = before.in_shape == before.out_shape and after.in_shape == after.out_shape
    return times if plain else chain(before, times, after)


def _matrix(shape: Shape, side: int) -> Shape:
    """Read a vector on the left as a row, on the right as a column."""
    if len(shape) > 1:
        return shape
    return (1, *shape) if side == 0 else (*shape, 1)
