"""Running sums and products, determinants, and Einstein sums."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from onnxlin.primitives import (
    Along,
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Transpose,
    adjoint,
    chain,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.reductions.reductions import exclusive_products
from onnxlin.rules.reductions.softmax import tangent
from onnxlin.rules.registry import rule


def _entering(node: NodeAtX, n: int) -> Array:
    """Whether entry j enters result i of a running sum: bool ``(n, n)``."""
    i, j = np.indices((n, n))
    if node.attr("reverse"):
        i, j = j, i
    return j < i if node.attr("exclusive") else j <= i


@rule("CumSum", constant=(1,))
def running_sum(node: NodeAtX) -> Affine:
    """Sum of the entries up to each one along an axis, or from it on."""
    shape = node.shape(0)
    axis = int(node.constant(1).item()) % len(shape)
    return Affine(
        {0: Along.of(shape, axis, sp.csr_array(_entering(node, shape[axis]).astype(float)))}
    )


@rule("CumProd", constant=(1,), status="smooth")
def running_product(node: NodeAtX) -> Affine:
    """Product of the entries up to each one along an axis, or from it on.

    ``frozen`` takes an equal share of each term, and no bias.
    """
    z = node.value(0)
    axis = int(node.constant(1).item()) % z.ndim
    entering = _entering(node, z.shape[axis])
    lines = np.moveaxis(z, axis, -1)
    factors = np.where(entering, lines[..., None, :], 1)
    others = exclusive_products(factors) * exclusive_products(factors[..., ::-1])[..., ::-1]
    slopes = node.cast(others * entering)
    count = entering.sum(axis=1)
    value = np.moveaxis(factors.prod(axis=-1), -1, axis)
    if not node.frozen:
        return tangent(node, _along(z.shape, axis, slopes), value, int(count.max(initial=0)) + 4)
    share = node.cast(slopes / np.maximum(count, 1)[:, None])
    # A product of no factors is 1, whatever x.
    empty = (count == 0).reshape(-1, *(1,) * (z.ndim - 1 - axis))
    held = node.cast(np.broadcast_to(empty, z.shape))
    return Affine({0: _along(z.shape, axis, share)}, held, roundings=int(count.max(initial=0)) + 4)


def _along(shape: tuple[int, ...], axis: int, matrices: Array) -> LinearMap:
    """Multiply every line along an axis by a matrix of its own: ``(*others, n, n)``."""
    others = [i for i in range(len(shape)) if i != axis]
    turn = Transpose.of(shape, (*others, axis))
    rows = (*turn.out_shape[:-1], 1, shape[axis])
    times = MatMul.of(rows, np.swapaxes(matrices, -1, -2))
    return chain(
        turn, Reshape(turn.out_shape, rows), times, Reshape(rows, turn.out_shape), adjoint(turn)
    )


@rule("Det", status="smooth")
def determinant(node: NodeAtX) -> Affine:
    """Determinant of each matrix, with its cofactors for slopes, singular matrices included.

    ``x : (*batch, n, n) -> y : batch``. ``frozen`` takes ``cofactors / n``, and no bias.
    """
    a = node.value(0)
    n = a.shape[-1]
    cofactors = node.cast(_cofactors(a))
    if node.frozen:
        found = Affine({0: _inner(node, cofactors / n)})
    else:
        found = tangent(
            node, _inner(node, cofactors), node.cast(np.linalg.det(a)).reshape(node.out_shape)
        )
    # Elimination returns the determinant of a matrix that differs from this one by n roundings of
    # |L| |U| in each entry (Higham, Accuracy and Stability, 2nd ed., theorem 9.3).
    permutation, low, up = scipy.linalg.lu(a)
    reach = np.abs(cofactors) * (permutation @ np.abs(low) @ np.abs(up))
    size = np.abs(np.linalg.det(a)) + reach.sum(axis=(-2, -1))
    bias = np.zeros(node.out_shape, node.dtype) if found.bias is None else found.bias
    return Affine(found.terms, bias, None, size.reshape(node.out_shape), 2 * n + 4)


def _inner(node: NodeAtX, weights: Array) -> LinearMap:
    """Sum the weighted entries of each matrix."""
    shape = node.shape(0)
    ones = (*shape[:-2], 1, 1)
    add_up = adjoint(Broadcast(ones, shape))
    return chain(Diagonal.of(shape, weights), add_up, Reshape(ones, node.out_shape))


def _cofactors(a: Array) -> Array:
    """``d det(a) / d a``: from the singular values, so that none has to be divided by."""
    u, s, vt = np.linalg.svd(a)
    others = exclusive_products(s) * exclusive_products(s[..., ::-1])[..., ::-1]
    sign = np.linalg.det(u) * np.linalg.det(vt)
    return np.round(sign)[..., None, None] * ((u * others[..., None, :]) @ vt)
