"""Scale every entry by a factor of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index


@final
@dataclass(frozen=True, eq=False)
class Diagonal(LinearMap):
    """``y = scale * x``, entry by entry.

    Parameters
    ----------
    in_shape, out_shape : tuple of int
        The same shape twice; use `Diagonal.of`.
    scale : array
        Broadcastable to ``in_shape``.
    """

    scale: Array

    @classmethod
    def of(cls, shape: Shape, scale: Array) -> Diagonal:
        """Scale arrays of ``shape`` by ``scale``, which must broadcast to it."""
        return cls(shape, shape, scale)

    def __post_init__(self) -> None:
        if np.broadcast_shapes(self.scale.shape, self.in_shape) != self.in_shape:
            raise ValueError(f"scale of shape {self.scale.shape} does not fit {self.in_shape}")

    def matvec(self, x: Array) -> Array:
        """``(K, *shape) -> (K, *shape)``."""
        return x * self.scale

    def rmatvec(self, y: Array) -> Array:
        """``(K, *shape) -> (K, *shape)``."""
        return y * self.scale

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Diagonal matrix; zeros of the scale are not stored."""
        scale = np.broadcast_to(self.scale, self.in_shape)
        (kept,) = np.nonzero(scale.ravel())
        index = flat_index(self.in_shape).ravel()[kept]
        return entries(self, index, index, scale.ravel()[kept], dtype)

    def lower(self, x: Stack) -> Stack:
        """One product."""
        return x.times(self.scale)

    def lower_adjoint(self, y: Stack) -> Stack:
        """The same."""
        return y.times(self.scale)

    def absolute(self) -> Diagonal:
        """Scale by the absolute values."""
        return Diagonal.of(self.in_shape, np.abs(self.scale))

    @property
    def fan_in(self) -> int:
        """One."""
        return 1

    @property
    def fan_out(self) -> int:
        """One."""
        return 1
