"""Matrix products with a constant, batched and broadcast as ``numpy.matmul`` does it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack, tensor
from onnxlin.primitives.broadcast import Broadcast, sum_to
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index


@final
@dataclass(frozen=True, eq=False)
class MatMul(LinearMap):
    """``y = x @ matrix``, batch axes broadcast.

    Parameters
    ----------
    in_shape : (*batch_x, m, k)
    out_shape : (*broadcast of batch_x and batch_c, m, n); use `MatMul.of`.
    matrix : array, shape (*batch_c, k, n)
    """

    matrix: Array

    @classmethod
    def of(cls, shape: Shape, matrix: Array) -> MatMul:
        """Multiply arrays of ``shape`` from the right by ``matrix``, both of rank 2 or more."""
        batch = np.broadcast_shapes(shape[:-2], matrix.shape[:-2])
        return cls(shape, (*batch, shape[-2], matrix.shape[-1]), matrix)

    def __post_init__(self) -> None:
        if self.in_shape[-1] != self.matrix.shape[-2]:
            raise ValueError(f"{self.in_shape} @ {self.matrix.shape} does not fit")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        aligned = (1,) * (len(self.out_shape) - len(self.in_shape)) + self.in_shape
        return _product(x.reshape(len(x), *aligned), self.matrix)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return sum_to(_product(y, np.swapaxes(self.matrix, -1, -2)), self.in_shape)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Entry (i, j) of y reads entries (i, k) of x, with weight (k, j) of the matrix."""
        batch = self.out_shape[:-2]
        column = np.broadcast_to(flat_index(self.in_shape), (*batch, *self.in_shape[-2:]))
        value = np.broadcast_to(self.matrix, (*batch, *self.matrix.shape[-2:]))
        # Axes (batch, i, k, j) throughout.
        row = flat_index(self.out_shape)[..., :, None, :]
        return entries(self, row, column[..., :, :, None], value[..., None, :, :], dtype)

    def lower(self, x: Stack) -> Stack:
        """One product, of all rows at once where the matrix has no batch axes."""
        return _lowered(x, self.matrix, self.out_shape, turned=False)

    def lower_adjoint(self, y: Stack) -> Stack:
        """The product with the transposed matrix, summed where x was broadcast."""
        batch = self.out_shape[:-1] + self.in_shape[-1:]
        back = _lowered(y, self.matrix, batch, turned=True)
        return Broadcast(self.in_shape, batch).lower_adjoint(back)

    def absolute(self) -> MatMul:
        """Absolute values of the matrix."""
        return MatMul(self.in_shape, self.out_shape, np.abs(self.matrix))

    @property
    def fan_in(self) -> int:
        """The contracted length k."""
        return self.matrix.shape[-2]

    @property
    def fan_out(self) -> int:
        """The length n, for each copy of x that broadcasting makes."""
        copies = self.rows // max(self.matrix.shape[-1], 1)
        lines = self.columns // max(self.matrix.shape[-2], 1)
        return self.matrix.shape[-1] * max(copies // max(lines, 1), 1)


def _product(x: Array, matrix: Array) -> Array:
    """``x @ matrix`` as one large product where the matrix has no batch axes of its own."""
    if matrix.ndim > 2:
        return x @ matrix
    lines = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    return (lines @ matrix).reshape(*x.shape[:-1], matrix.shape[1])


def _lowered(x: Stack, matrix: Array, shape: Shape, *, turned: bool) -> Stack:
    """Write ``x @ matrix``, or with the matrix ``turned``, which makes arrays of a shape."""
    graph = x.emitter
    other = tensor(graph, matrix, graph.dtype)
    if turned:
        # A node, and not a transposed array: the model then holds the weight only once.
        order = [*range(matrix.ndim - 2), matrix.ndim - 1, matrix.ndim - 2]
        other = graph("Transpose", other, perm=order)
    if matrix.ndim > 2 or x.rest[-1:] != x.shape[-1:]:
        aligned = (1,) * (len(shape) - len(x.shape)) + x.shape
        return x.as_split(graph("MatMul", x.laid(1, aligned), other), shape)
    return x.as_laid(graph("MatMul", x.name, other), shape, x.merged, (*x.rest[:-1], shape[-1]))
