"""Copy entries by their flat index; the adjoint adds cotangents where indices repeat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Scattered, Stack, is_traced, scattered, tensor
from onnxlin.primitives.linear_map import Array, LinearMap, Shape


@final
@dataclass(frozen=True, eq=False)
class Select(LinearMap):
    """``y[i] = x.flat[index[i]]``; index -1 reads the constant 0.

    Parameters
    ----------
    in_shape, out_shape : tuple of int
        ``out_shape`` is the shape of the index; use `Select.of`.
    index : integer array of shape ``out_shape``
        Flat positions in C order. Where indices repeat, cotangents add up.
    whole : bool
        Whether no index can be -1, said where the indices themselves are known only to a run.
    distinct : bool
        Whether no index can repeat, said likewise.
    """

    index: Array
    whole: bool = False
    distinct: bool = False

    @classmethod
    def of(
        cls, in_shape: Shape, index: Array, *, whole: bool = False, distinct: bool = False
    ) -> Select:
        """Read arrays of ``in_shape`` at the flat positions ``index``."""
        return cls(in_shape, index.shape, index, whole, distinct)

    def __post_init__(self) -> None:
        if is_traced(self.index):
            return
        low, high = (int(self.index.min()), int(self.index.max())) if self.index.size else (0, -1)
        if low < -1 or high >= self.columns:
            raise ValueError(f"indices {low}..{high} outside of -1..{self.columns - 1}")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        row, column = self._kept
        taken = np.take(x.reshape(len(x), self.columns), column, axis=1)
        if isinstance(row, slice):  # every entry reads one
            return taken.reshape(len(x), *self.out_shape)
        y = np.zeros((len(x), self.rows), dtype=x.dtype)
        y[:, row] = taken
        return y.reshape(len(x), *self.out_shape)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        flat = y.reshape(len(y), self.rows)
        row, column = self._kept
        x = np.zeros((len(y), self.columns), dtype=y.dtype)
        for i in range(len(y)):
            # Counting adds up repeats, and beats a transposed sparse matrix for any K.
            x[i] = np.bincount(column, flat[i, row], minlength=self.columns)
        return x.reshape(len(y), *self.in_shape)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """At most one entry a row; -1 leaves the row empty."""
        row, column = self._kept
        counts = np.zeros(self.rows + 1, dtype=np.int64)
        counts[1:][row] = 1
        data = np.ones(len(column), dtype=dtype)
        return sp.csr_array((data, column, np.cumsum(counts)), shape=(self.rows, self.columns))

    def lower(self, x: Stack) -> Stack:
        """Gather."""
        graph = x.emitter
        source, index = x.flat, self.index
        if not self._total:
            source = graph("Concat", source, x.zeros(1), axis=1)
            index = np.where(index < 0, self.columns, index)
        place = tensor(graph, index.reshape(self.rows), np.int64)
        name = graph("Gather", source, place, axis=1)
        return x.as_layout(name, self.out_shape, 1, (self.rows,))

    def lower_adjoint(self, y: Stack) -> Stack:
        """Gather by the inverse where no index repeats and all are known, else ScatterElements."""
        if not is_traced(self.index) and self.fan_out <= 1:
            row, column = self._kept
            inverse = np.full(self.in_shape, -1, dtype=np.int64)
            inverse.reshape(self.columns)[column] = np.arange(self.rows)[row]
            return Select.of(self.out_shape, inverse).lower(y)
        graph, index, size = y.emitter, self.index, self.columns
        if not self._total:
            index, size = np.where(index < 0, self.columns, index), self.columns + 1
        if size == self.columns and is_traced(index):
            return Scattered(graph, self.in_shape, y, index, self.distinct)
        name = scattered(y, index.reshape(self.rows), size, distinct=False)
        if size > self.columns:
            bounds = (graph.ints([n]) for n in (0, self.columns, 1))
            name = graph("Slice", name, *bounds)
        return y.as_layout(name, self.in_shape, 1, (self.columns,))

    @property
    def _total(self) -> bool:
        """Whether no entry reads the constant 0, as far as is known."""
        if is_traced(self.index):
            return self.whole
        return not (self.index < 0).any()

    def absolute(self) -> Select:
        """Itself."""
        return self

    @property
    def fan_in(self) -> int:
        """One."""
        return 1

    @cached_property
    def fan_out(self) -> int:
        """How often the most wanted entry is read; all may be the same where only a run tells."""
        if is_traced(self.index):
            return 1 if self.distinct else self.rows
        _, column = self._kept
        return int(np.bincount(column).max(initial=0))

    @property
    def nnz(self) -> int:
        """Entries that are read."""
        return self.rows if is_traced(self.index) else len(self._kept[1])

    @cached_property
    def _kept(self) -> tuple[slice | Array, Array]:
        """Positions of the output that read an entry, and the entries they read."""
        flat = self.index.reshape(self.rows)
        empty = flat < 0
        if not empty.any():
            return slice(None), flat
        (row,) = np.nonzero(~empty)
        return row, flat[row]
