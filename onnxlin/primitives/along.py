"""Multiply every line along one axis by the same matrix: gather, interpolate, average."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import NotStaticError, Stack, is_traced, taken
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index
from onnxlin.primitives.select import Select

# Entries of a matrix that a graph may hold as a dense one.
MOST_DENSE = 2**24


@final
@dataclass(frozen=True, eq=False)
class Along(LinearMap):
    """``y = M x`` for every line of ``x`` along one axis.

    Parameters
    ----------
    in_shape, out_shape : tuple of int
        Equal but for the one axis; use `Along.of`.
    axis : int
        Not negative.
    matrix : scipy.sparse.csr_array, shape (out_shape[axis], in_shape[axis])
    """

    axis: int
    matrix: sp.csr_array

    @classmethod
    def of(cls, shape: Shape, axis: int, matrix: sp.csr_array) -> Along:
        """Multiply the lines along ``axis`` of arrays of ``shape`` by ``matrix``."""
        out = (*shape[:axis], matrix.shape[0], *shape[axis + 1 :])
        return cls(shape, out, axis, matrix)

    @classmethod
    def take(cls, shape: Shape, axis: int, index: Array) -> LinearMap:
        """Read the lines along ``axis`` at the positions ``index``; -1 reads the constant 0."""
        if is_traced(index):
            return _taken(shape, axis, index)
        row = np.arange(len(index))[index >= 0]
        triple = (np.ones(len(row)), (row, index[index >= 0]))
        return cls.of(shape, axis, sp.csr_array(triple, shape=(len(index), shape[axis])))

    def __post_init__(self) -> None:
        if self.matrix.shape != (self.out_shape[self.axis], self.in_shape[self.axis]):
            raise ValueError(f"matrix {self.matrix.shape} does not fit axis {self.axis}")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return _apply(self._forward(x.dtype), x, self.axis + 1)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return _apply(self._backward(y.dtype), y, self.axis + 1)

    def _forward(self, dtype: np.dtype) -> Array | sp.csr_array:
        return self._cached(dtype, transposed=False)

    def _backward(self, dtype: np.dtype) -> Array | sp.csr_array:
        return self._cached(dtype, transposed=True)

    def _cached(self, dtype: np.dtype, *, transposed: bool) -> Array | sp.csr_array:
        key = (dtype, transposed)
        if key not in self._cast:
            self._cast[key] = _suited(self.matrix.T.tocsr() if transposed else self.matrix, dtype)
        return self._cast[key]

    @cached_property
    def _cast(self) -> dict[tuple[np.dtype, bool], Array | sp.csr_array]:
        return {}

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """``kron(I, M, I)``."""
        lines = flat_index((prod(self.in_shape[: self.axis]), prod(self.in_shape[self.axis + 1 :])))
        m, n = self.matrix.shape
        before, after = np.divmod(lines.reshape(-1, 1), max(lines.shape[1], 1))
        coo = self.matrix.tocoo()
        row = (before * m + coo.row.astype(np.int64)) * lines.shape[1] + after
        column = (before * n + coo.col.astype(np.int64)) * lines.shape[1] + after
        return entries(self, row, column, coo.data, dtype)

    def lower(self, x: Stack) -> Stack:
        """One product, or one reading of positions."""
        return _lowered(self.matrix, x, self.axis)

    def lower_adjoint(self, y: Stack) -> Stack:
        """The same with the transposed matrix."""
        return _lowered(self.matrix.T.tocsr(), y, self.axis)

    def absolute(self) -> Along:
        """Absolute values of the matrix."""
        return Along(self.in_shape, self.out_shape, self.axis, abs(self.matrix))

    @property
    def fan_in(self) -> int:
        """Entries of the fullest row."""
        return int(np.diff(self.matrix.indptr).max(initial=0))

    @property
    def fan_out(self) -> int:
        """Entries of the fullest column."""
        return int(np.bincount(self.matrix.indices).max(initial=0))


def _taken(shape: Shape, axis: int, index: Array) -> Select:
    """Read lines at positions that only a run knows."""
    first = flat_index(shape).take([0], axis)
    at = index.reshape(index.size, *(1,) * (len(shape) - axis - 1))
    return Select.of(shape, np.where(at < 0, -1, first + at * prod(shape[axis + 1 :])))


def _suited(matrix: sp.csr_array, dtype: np.dtype) -> Array | sp.csr_array:
    """Return the matrix in the form that multiplies faster: dense unless clearly sparse."""
    cast = matrix.astype(dtype)
    return cast if cast.nnz * 16 < prod(cast.shape) else cast.toarray()


def _apply(matrix: Array | sp.csr_array, x: Array, axis: int) -> Array:
    """Multiply the lines of ``x`` along ``axis`` by ``matrix``."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    lines = x.reshape(prod(before), x.shape[axis], prod(after))
    if is_traced(x) and not isinstance(matrix, np.ndarray):
        matrix = matrix.toarray()
    if not isinstance(matrix, np.ndarray):
        columns = lines.transpose(1, 0, 2).reshape(x.shape[axis], prod(before) * prod(after))
        product = (matrix @ columns).reshape(matrix.shape[0], prod(before), prod(after))
        product = product.transpose(1, 0, 2)
    elif not after:
        # One large product instead of one small one a line.
        product = lines[:, :, 0] @ matrix.T
    else:
        product = matrix @ lines
    return product.reshape(*before, matrix.shape[0], *after)


def _lowered(matrix: sp.csr_array, x: Stack, axis: int) -> Stack:
    """Write the product of the lines along ``axis`` with a matrix."""
    counts = np.diff(matrix.indptr)
    if counts.max(initial=0) <= 1 and (matrix.data == 1).all():
        index = np.full(matrix.shape[0], -1, dtype=np.int64)
        index[counts == 1] = matrix.indices
        return taken(x, axis, index)
    if prod(matrix.shape) > MOST_DENSE:
        raise NotStaticError(f"a matrix of {matrix.shape} along one axis is too large to store")
    graph, shape = x.emitter, x.shape
    before, after = prod(shape[:axis]), prod(shape[axis + 1 :])
    out = (*shape[:axis], matrix.shape[0], *shape[axis + 1 :])
    if after == 1:
        lines = x.in_layout(before, (shape[axis],))
        name = graph("MatMul", lines, graph.floats(matrix.toarray().T))
        return x.as_layout(name, out, before, (matrix.shape[0],))
    lines = x.in_layout(before, (shape[axis], after))
    name = graph("MatMul", graph.floats(matrix.toarray()), lines)
    return x.as_layout(name, out, before, (matrix.shape[0], after))
