"""Maps that only move entries, each entry to one place: reshape and transpose."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack, permuted
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index


@final
@dataclass(frozen=True, eq=False)
class Reshape(LinearMap):
    """The same entries in C order under another shape; with equal shapes the identity."""

    def __post_init__(self) -> None:
        if prod(self.in_shape) != prod(self.out_shape):
            raise ValueError(f"cannot reshape {self.in_shape} to {self.out_shape}")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return x.reshape(len(x), *self.out_shape)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return y.reshape(len(y), *self.in_shape)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Identity matrix."""
        return sp.eye_array(self.rows, dtype=np.dtype(dtype), format="csr")

    def lower(self, x: Stack) -> Stack:
        """No node of its own."""
        return x.reshaped(self.out_shape)

    def lower_adjoint(self, y: Stack) -> Stack:
        """No node of its own."""
        return y.reshaped(self.in_shape)

    def absolute(self) -> Reshape:
        """Itself."""
        return self

    @property
    def fan_in(self) -> int:
        """One."""
        return 1

    @property
    def fan_out(self) -> int:
        """One."""
        return 1


def identity(shape: Shape) -> Reshape:
    """Return the identity on arrays of ``shape``."""
    return Reshape(shape, shape)


@final
@dataclass(frozen=True, eq=False)
class Transpose(LinearMap):
    """Permute the axes: axis ``i`` of the output is axis ``perm[i]`` of the input."""

    perm: tuple[int, ...]

    @classmethod
    def of(cls, shape: Shape, perm: tuple[int, ...]) -> Transpose:
        """Permute the axes of arrays of ``shape``."""
        return cls(shape, tuple(shape[p] for p in perm), perm)

    def __post_init__(self) -> None:
        if sorted(self.perm) != list(range(len(self.in_shape))):
            raise ValueError(f"{self.perm} is no permutation of the axes of {self.in_shape}")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return x.transpose(0, *(p + 1 for p in self.perm))

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return y.transpose(0, *(int(p) + 1 for p in np.argsort(self.perm)))

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Permutation matrix."""
        column = flat_index(self.in_shape).transpose(self.perm).ravel()
        return entries(self, np.arange(self.rows), column, np.ones(1), dtype)

    def lower(self, x: Stack) -> Stack:
        """Transpose."""
        return permuted(x, self.perm)

    def lower_adjoint(self, y: Stack) -> Stack:
        """Transpose back."""
        return permuted(y, tuple(int(p) for p in np.argsort(self.perm)))

    def absolute(self) -> Transpose:
        """Itself."""
        return self

    @property
    def fan_in(self) -> int:
        """One."""
        return 1

    @property
    def fan_out(self) -> int:
        """One."""
        return 1
