"""Maps made of maps: composition, sum and adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import prod
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack
from onnxlin.primitives.linear_map import Array, LinearMap


@final
@dataclass(frozen=True, eq=False)
class Chain(LinearMap):
    """Maps applied one after the other, the first one first. Use `chain`."""

    maps: tuple[LinearMap, ...]

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return reduce(lambda value, op: op.matvec(value), self.maps, x)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return reduce(lambda value, op: op.rmatvec(value), reversed(self.maps), y)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Product of the matrices."""
        matrices = (op.to_sparse(dtype) for op in self.maps)
        return sp.csr_array(reduce(lambda before, after: after @ before, matrices))

    def lower(self, x: Stack) -> Stack:
        """One after the other."""
        return reduce(lambda value, op: op.lower(value), self.maps, x)

    def lower_adjoint(self, y: Stack) -> Stack:
        """One after the other, the last one first."""
        return reduce(lambda value, op: op.lower_adjoint(value), reversed(self.maps), y)

    def absolute(self) -> LinearMap:
        """Chain of the absolute maps."""
        return chain(*(op.absolute() for op in self.maps))

    @property
    def fan_in(self) -> int:
        """Product of the fans."""
        return min(prod(op.fan_in for op in self.maps), self.columns)

    @property
    def fan_out(self) -> int:
        """Product of the fans."""
        return min(prod(op.fan_out for op in self.maps), self.rows)

    @property
    def workspace(self) -> int:
        """Largest of the workspaces, and of the values on the way."""
        return max(op.workspace + op.columns + op.rows for op in self.maps)


def chain(*maps: LinearMap) -> LinearMap:
    """Compose maps, the first one first; neighbours must fit."""
    for before, after in pairwise(maps):
        if before.out_shape != after.in_shape:
            raise ValueError(f"output {before.out_shape} does not fit input {after.in_shape}")
    return maps[0] if len(maps) == 1 else Chain(maps[0].in_shape, maps[-1].out_shape, maps)


@final
@dataclass(frozen=True, eq=False)
class Sum(LinearMap):
    """Maps of the same shapes added up. Use `Sum.of`."""

    maps: tuple[LinearMap, ...]

    @classmethod
    def of(cls, *maps: LinearMap) -> Sum:
        """Add maps of the same shapes."""
        return cls(maps[0].in_shape, maps[0].out_shape, maps)

    def __post_init__(self) -> None:
        if len({(op.in_shape, op.out_shape) for op in self.maps}) != 1:
            raise ValueError("a sum needs maps of the same shapes")

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return reduce(np.add, (op.matvec(x) for op in self.maps))

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return reduce(np.add, (op.rmatvec(y) for op in self.maps))

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Sum of the matrices."""
        return sp.csr_array(reduce(lambda a, b: a + b, (op.to_sparse(dtype) for op in self.maps)))

    def lower(self, x: Stack) -> Stack:
        """Side by side."""
        return reduce(Stack.plus, (op.lower(x) for op in self.maps))

    def lower_adjoint(self, y: Stack) -> Stack:
        """Side by side."""
        return reduce(Stack.plus, (op.lower_adjoint(y) for op in self.maps))

    def absolute(self) -> Sum:
        """Sum of the absolute maps."""
        return Sum.of(*(op.absolute() for op in self.maps))

    @property
    def fan_in(self) -> int:
        """Sum of the fans."""
        return sum(op.fan_in for op in self.maps)

    @property
    def fan_out(self) -> int:
        """Sum of the fans."""
        return sum(op.fan_out for op in self.maps)

    @property
    def workspace(self) -> int:
        """Largest of the workspaces, and one more result."""
        return max(op.workspace + op.columns + op.rows for op in self.maps)


@final
@dataclass(frozen=True, eq=False)
class Adjoint(LinearMap):
    """A map the other way round. Use `adjoint`."""

    base: LinearMap

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return self.base.rmatvec(x)

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        return self.base.matvec(y)

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Transposed matrix."""
        return sp.csr_array(self.base.to_sparse(dtype).T)

    def lower(self, x: Stack) -> Stack:
        """Adjoint of the base."""
        return self.base.lower_adjoint(x)

    def lower_adjoint(self, y: Stack) -> Stack:
        """The base."""
        return self.base.lower(y)

    def absolute(self) -> Adjoint:
        """Adjoint of the absolute map."""
        return adjoint(self.base.absolute())

    @property
    def fan_in(self) -> int:
        """Fan out of the base."""
        return self.base.fan_out

    @property
    def fan_out(self) -> int:
        """Fan in of the base."""
        return self.base.fan_in

    @property
    def workspace(self) -> int:
        """Workspace of the base."""
        return self.base.workspace


def adjoint(op: LinearMap) -> Adjoint:
    """Turn a map round: ``matvec`` and ``rmatvec`` change places."""
    return Adjoint(op.out_shape, op.in_shape, op)
