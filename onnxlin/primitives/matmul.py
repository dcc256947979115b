"""Matrix products with a constant, batched and broadcast as ``numpy.matmul`` does it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack, tensor
from onnxlin.primitives.broadcast import Broadcast, sum_to
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index

# Fewer lines, and products with smaller matrices, take no longer than to look for zeros.
A_FEW, LARGE = 8, 2**14
# Entries of a matrix that are brought to another type at once.
BLOCK = 2**21


@final
@dataclass(frozen=True, eq=False)
class MatMul(LinearMap):
    """``y = x @ matrix``, or ``matrix @ x`` if the matrix stands ``left``; batch axes broadcast.

    Parameters
    ----------
    in_shape : (*batch_x, m, k), or (*batch_x, k, n) if ``left``
    out_shape : (*broadcast of batch_x and batch_c, m, n); use `MatMul.of`.
    matrix : array, shape (*batch_c, k, n), or (*batch_c, m, k) if ``left``
    left : bool
    """

    matrix: Array
    left: bool = False

    @classmethod
    def of(cls, shape: Shape, matrix: Array, *, left: bool = False) -> MatMul:
        """Multiply arrays of ``shape`` by ``matrix``, both of rank 2 or more."""
        batch = np.broadcast_shapes(shape[:-2], matrix.shape[:-2])
        ends = (matrix.shape[-2], shape[-1]) if left else (shape[-2], matrix.shape[-1])
        return cls(shape, (*batch, *ends), matrix, left)

    def __post_init__(self) -> None:
        if self.in_shape[self._axis] != self.matrix.shape[-1 if self.left else -2]:
            sides = [self.in_shape, self.matrix.shape][:: -1 if self.left else 1]
            raise ValueError(f"{sides[0]} @ {sides[1]} does not fit")

    @property
    def _axis(self) -> int:
        """Where k is in x, and the length that takes its place in y."""
        return -2 if self.left else -1

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        aligned = (1,) * (len(self.out_shape) - len(self.in_shape)) + self.in_shape
        return _product(x.reshape(len(x), *aligned), self.matrix, left=self.left)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        back = _product(y, np.swapaxes(self.matrix, -1, -2), left=self.left)
        return sum_to(back, self.in_shape)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Entry (i, j) of y reads entries (i, k) of x, with weight (k, j) of the matrix.

        With the matrix ``left`` it reads entries (k, j), with weight (i, k).
        """
        batch = self.out_shape[:-2]
        column = np.broadcast_to(flat_index(self.in_shape), (*batch, *self.in_shape[-2:]))
        value = np.broadcast_to(self.matrix, (*batch, *self.matrix.shape[-2:]))
        # Axes (batch, i, k, j) throughout.
        first, last = (..., slice(None), slice(None), None), (..., None, slice(None), slice(None))
        row = flat_index(self.out_shape)[..., :, None, :]
        if self.left:
            return entries(self, row, column[last], value[first], dtype)
        return entries(self, row, column[first], value[last], dtype)

    def lower(self, x: Stack) -> Stack:
        """One product, of all rows at once where the matrix has no batch axes."""
        return self._lowered(x, self.out_shape, turned=False)

    def lower_adjoint(self, y: Stack) -> Stack:
        """The product with the transposed matrix, summed where x was broadcast."""
        batch = (*self.out_shape[:-2], *self.in_shape[-2:])
        return Broadcast(self.in_shape, batch).lower_adjoint(self._lowered(y, batch, turned=True))

    def _lowered(self, x: Stack, shape: Shape, *, turned: bool) -> Stack:
        """Write the product, or that with the matrix ``turned``, which makes arrays of a shape."""
        graph, rank = x.emitter, self.matrix.ndim
        column = self.left and rank == 2 and shape[-1] == 1  # M x is x' M', of all rows at once
        other = tensor(graph, self.matrix, graph.dtype)
        if turned != column:
            # A node, and not a transposed array: the model then holds the weight only once.
            other = graph.permuted(other, [*range(rank - 2), rank - 1, rank - 2])
        if column:
            lines, k = prod(shape[:-2]), x.shape[-2]
            name = graph("MatMul", x.in_layout(lines, (k,)), other)
            return x.as_layout(name, shape, lines, (shape[-2],))
        merged, rest = x.layout
        if rank == 2 and not self.left and rest[-1:] == x.shape[-1:]:
            name = graph("MatMul", x.in_layout(merged, rest), other)
            return x.as_layout(name, shape, merged, (*rest[:-1], shape[-1]))
        aligned = (1,) * (len(shape) - len(x.shape)) + x.shape
        # An axis of length 1 in front leaves its place to K.
        first = 1 if len(shape) > 2 and shape[0] == 1 else 0
        sides = [x.in_layout(1, aligned[first:]), other][:: -1 if self.left else 1]
        return x.as_layout(graph("MatMul", *sides), shape, 1, shape[first:])

    def absolute(self) -> MatMul:
        """Absolute values of the matrix."""
        return MatMul(self.in_shape, self.out_shape, np.abs(self.matrix), self.left)

    @property
    def fan_in(self) -> int:
        """The contracted length k."""
        return self.in_shape[self._axis]

    @property
    def fan_out(self) -> int:
        """The length that takes the place of k, for each copy of x that broadcasting makes."""
        made = self.out_shape[self._axis]
        copies = self.rows // max(made, 1)
        lines = self.columns // max(self.in_shape[self._axis], 1)
        return made * max(copies // max(lines, 1), 1)


def _product(x: Array, matrix: Array, *, left: bool) -> Array:
    """``x @ matrix`` as one large product where the matrix has no batch axes of its own."""
    if matrix.ndim > 2:
        return matrix @ x if left else x @ matrix
    if left:
        return np.swapaxes(_product(np.swapaxes(x, -1, -2), matrix.T, left=False), -1, -2)
    lines = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    return _of_lines(lines, matrix).reshape(*x.shape[:-1], matrix.shape[1])


def _of_lines(lines: Array, matrix: Array) -> Array:
    """``lines @ matrix``; lines of zeros, of tokens that a row does not depend on, are left out."""
    if len(lines) < A_FEW or matrix.size < LARGE:
        return _in_blocks(lines, matrix)
    held = lines.any(axis=1)
    if 2 * np.count_nonzero(held) > len(lines):
        return _in_blocks(lines, matrix)
    found = np.zeros((len(lines), matrix.shape[1]), np.result_type(lines, matrix))
    found[held] = _in_blocks(lines[held], matrix)
    return found


def _in_blocks(lines: Array, matrix: Array) -> Array:
    """``lines @ matrix``; of a large matrix of another type never all is brought to theirs.

    A fresh copy of hundreds of MiB costs more than the product: its pages are touched once.
    """
    if matrix.size < 2 * BLOCK or np.result_type(lines, matrix) == matrix.dtype:
        return lines @ matrix
    # Across the longer side, so that blocks are no narrower than they must be.
    k, n = matrix.shape
    few = max(BLOCK // min(k, n), 1)
    if n >= k:
        beside = (lines @ matrix[:, i : i + few] for i in range(0, n, few))
        return np.concatenate(list(beside), axis=1)
    added = (lines[:, i : i + few] @ matrix[i : i + few] for i in range(0, k, few))
    return reduce(np.add, added)
