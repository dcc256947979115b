"""Repeat entries by NumPy's broadcasting; the adjoint sums them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack, stretched, summed
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index


def sum_to(y: Array, shape: Shape) -> Array:
    """Sum a stack ``(K, *broadcast)`` down to ``(K, *shape)``, undoing a broadcast."""
    extra = y.ndim - 1 - len(shape)
    summed = y.sum(axis=tuple(range(1, 1 + extra)))
    ones = tuple(i for i, n in enumerate(shape, 1) if n == 1 and summed.shape[i] != 1)
    return summed.sum(axis=ones, keepdims=True) if ones else summed


@final
@dataclass(frozen=True, eq=False)
class Broadcast(LinearMap):
    """NumPy broadcasting of ``in_shape`` to ``out_shape``. Its adjoint is a sum over axes."""

    def __post_init__(self) -> None:
        if np.broadcast_shapes(self.in_shape, self.out_shape) != self.out_shape:
            raise ValueError(f"{self.in_shape} does not broadcast to {self.out_shape}")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        aligned = (1,) * (len(self.out_shape) - len(self.in_shape)) + self.in_shape
        return np.broadcast_to(x.reshape(len(x), *aligned), (len(x), *self.out_shape))

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return sum_to(y, self.in_shape)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """One entry a row."""
        column = np.broadcast_to(flat_index(self.in_shape), self.out_shape).ravel()
        return entries(self, np.arange(self.rows), column, np.ones(1), dtype)

    def lower(self, x: Stack) -> Stack:
        """Expand."""
        return stretched(x, self.out_shape)

    def lower_adjoint(self, y: Stack) -> Stack:
        """Sum over the axes that the map repeats along."""
        aligned = (1,) * (len(self.out_shape) - len(self.in_shape)) + self.in_shape
        pairs = zip(aligned, self.out_shape, strict=True)
        repeated = tuple(i for i, (n, m) in enumerate(pairs) if n != m)
        return summed(y, repeated).reshaped(self.in_shape)

    def absolute(self) -> Broadcast:
        """Itself."""
        return self

    @property
    def fan_in(self) -> int:
        """One."""
        return 1

    @property
    def fan_out(self) -> int:
        """How often each entry is repeated."""
        return prod(self.out_shape) // max(prod(self.in_shape), 1)
