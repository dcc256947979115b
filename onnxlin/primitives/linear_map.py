"""The contract of a linear map, and the dot-test that every map must pass.

Maps act on stacks: ``matvec`` takes ``(K, *in_shape)`` to ``(K, *out_shape)`` and ``rmatvec``
goes back, for any K including 0. Everything that transposes lives in this package; rules and
engines only combine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack, is_traced, tensor, wrap

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LinearMap(ABC):
    """A linear map between two arrays of known shapes.

    Parameters
    ----------
    in_shape, out_shape : tuple of int
        Shapes of one input and one output, without the stacking axis.
    """

    in_shape: Shape
    out_shape: Shape

    @abstractmethod
    def matvec(self, x: Array) -> Array:
        """Apply the map: ``(K, *in_shape) -> (K, *out_shape)``."""

    @abstractmethod
    def rmatvec(self, y: Array) -> Array:
        """Apply the adjoint: ``(K, *out_shape) -> (K, *in_shape)``."""

    @abstractmethod
    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Return the matrix, ``(prod(out_shape), prod(in_shape))``, C order on both sides."""

    @abstractmethod
    def lower(self, x: Stack) -> Stack:
        """Write `matvec` into a graph."""

    @abstractmethod
    def lower_adjoint(self, y: Stack) -> Stack:
        """Write `rmatvec` into a graph."""

    @abstractmethod
    def absolute(self) -> LinearMap:
        """Return the map whose matrix is the entrywise absolute value of this one.

        For a `Chain` or a `Sum` it is an upper bound of that: the maps inside are made absolute
        one by one. Error bounds want exactly this.
        """

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """Largest number of inputs that one output adds up (an upper bound)."""

    @property
    @abstractmethod
    def fan_out(self) -> int:
        """Largest number of outputs that one input enters (an upper bound)."""

    @property
    def nnz(self) -> int:
        """Upper bound of the entries that `to_sparse` stores."""
        return min(self.fan_in * self.rows, self.fan_out * self.columns)

    @property
    def workspace(self) -> int:
        """Elements of scratch memory per stacked vector, beyond input and output."""
        return 0

    @property
    def rows(self) -> int:
        """Number of outputs."""
        return prod(self.out_shape)

    @property
    def columns(self) -> int:
        """Number of inputs."""
        return prod(self.in_shape)


def applied(op: LinearMap, x: Array) -> Array:
    """Apply a map to one array, traced ones and maps of traced coefficients too.

    Returns
    -------
    array, of ``op.out_shape`` or broadcastable to it
    """
    graph = next((part.emitter for part in (x, *coefficients(op)) if is_traced(part)), None)
    if graph is None:
        return op.matvec(x[None])[0]
    row = Stack.of(graph, tensor(graph, x.reshape(1, *x.shape), x.dtype), op.in_shape)
    laid = op.lower(row).applied
    if laid.repeated is None:
        name, shape = laid.per_row, op.out_shape
    else:
        name, shape = laid.unrepeated, laid.repeated
    found: Any = wrap(graph, name, np.zeros((1, *shape), x.dtype))
    return found.reshape(shape)


def coefficients(value: Any) -> Iterator[Any]:
    """Everything inside a map that is no map."""
    if isinstance(value, LinearMap):
        value = tuple(getattr(value, field.name) for field in fields(value))
    if not isinstance(value, tuple):
        yield value
        return
    for part in value:
        yield from coefficients(part)


def entries(
    op: LinearMap, row: Array, column: Array, value: Array, dtype: npt.DTypeLike
) -> sp.csr_array:
    """Build the matrix of ``op`` from broadcastable rows, columns and values; repeats add up."""
    row, column, value = np.broadcast_arrays(row, column, value)
    triple = (value.ravel().astype(dtype, copy=False), (row.ravel(), column.ravel()))
    matrix = sp.coo_array(triple, shape=(op.rows, op.columns)).tocsr()
    matrix.sum_duplicates()
    return matrix


def flat_index(shape: Shape) -> Array:
    """Return the C-order position of every entry, in an array of that shape."""
    return np.arange(prod(shape), dtype=np.int64).reshape(shape)


def dot_test(op: LinearMap, x: Array, y: Array, rtol: float = 0.0) -> None:
    """Raise AssertionError unless ``<y, A x> == <A* y, x>``.

    Parameters
    ----------
    x : array, shape (K, *op.in_shape)
    y : array, shape (K, *op.out_shape)
        With small integers in float64 every product and sum is exact, so ``rtol=0`` is fair.
    rtol : float
        Relative to the sum of the absolute products.
    """
    Ax, Aty = op.matvec(x), op.rmatvec(y)
    # Shapes first: once flattened, a wrong shape of the right size would go unseen.
    for what, got, want in (("matvec", Ax, y.shape), ("rmatvec", Aty, x.shape)):
        if got.shape != want:
            raise AssertionError(f"{op}: {what} returned shape {got.shape}, expected {want}")
    left, right = float(np.vdot(y, Ax)), float(np.vdot(Aty, x))
    scale = float(np.vdot(np.abs(y), np.abs(Ax)))
    if not abs(left - right) <= rtol * scale:
        raise AssertionError(f"{op}: <y, A x> = {left!r} but <A* y, x> = {right!r}")
