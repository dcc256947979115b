"""Matrix products of which one side is constant."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array, LinearMap, MatMul, Reshape, Shape, Transpose, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.arithmetic import weighted
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.registry import rule


def product(shapes: tuple[Shape, Shape], side: int, constant: Array) -> LinearMap:
    """Multiply operand ``side`` by the constant on its other side, both of rank 2 or more."""
    if side == 0:
        return MatMul.of(shapes[0], constant)
    # (A B)' = B' A', so that the traced operand always stands on the left.
    turned = _turn(shapes[1])
    times = MatMul.of(turned.out_shape, np.swapaxes(constant, -1, -2))
    return chain(turned, times, _turn(times.out_shape))


def _turn(shape: Shape) -> Transpose:
    """Swap the last two axes."""
    rank = len(shape)
    return Transpose.of(shape, (*range(rank - 2), rank - 1, rank - 2))


@rule("Gemm", bilinear=(0, 1))
def gemm(node: NodeAtX) -> Affine:
    """``alpha A' B' + beta C``, A and B transposed if the attributes say so."""
    flags = (bool(node.attr("transA")), bool(node.attr("transB")))
    side = 1 if node.traced(1) else 0
    constant = node.constant(1 - side).T if flags[1 - side] else node.constant(1 - side)
    alpha, beta = node.attr("alpha"), node.attr("beta")
    if alpha != 1:
        constant = constant * node.cast(np.asarray(alpha))
    maps: list[LinearMap] = [_turn(node.shape(side))] if flags[side] else []
    shapes = [node.shape(i)[::-1] if flags[i] else node.shape(i) for i in (0, 1)]
    maps.append(product((shapes[0], shapes[1]), side, constant))
    terms: dict[int, LinearMap] = {side: chain(*maps)}
    if node.has(2) and beta != 0:
        terms[2] = weighted(node, 2, None if beta == 1 else beta)
    return Affine(terms, roundings=4)


@rule("MatMul", bilinear=(0, 1))
def matmul(node: NodeAtX) -> Affine:
    """``A B`` as ``numpy.matmul`` has it: batch axes broadcast, vectors are rows or columns."""
    side = 1 if node.traced(1) else 0
    shapes = (_matrix(node.shape(0), 0), _matrix(node.shape(1), 1))
    constant = node.constant(1 - side).reshape(shapes[1 - side])
    times = product(shapes, side, constant)
    before, after = (
        Reshape(node.shape(side), shapes[side]),
        Reshape(times.out_shape, node.out_shape),
    )
    plain = before.in_shape == before.out_shape and after.in_shape == after.out_shape
    return Affine({side: times if plain else chain(before, times, after)})


def _matrix(shape: Shape, side: int) -> Shape:
    """Read a vector on the left as a row, on the right as a column."""
    if len(shape) > 1:
        return shape
    return (1, *shape) if side == 0 else (*shape, 1)
