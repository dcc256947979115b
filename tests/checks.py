"""The laws of a linear map. Each is an assertion, so that planted bugs can show that it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.primitives import Chain, LinearMap, Sum, dot_test

Array = npt.NDArray[Any]


def columns(op: LinearMap) -> Array:
    """The matrix by applying the map to every unit vector."""
    units = np.eye(op.columns).reshape(op.columns, *op.in_shape)
    return op.matvec(units).reshape(op.columns, op.rows).T


def rows(op: LinearMap) -> Array:
    """The matrix by applying the adjoint to every unit vector."""
    units = np.eye(op.rows).reshape(op.rows, *op.out_shape)
    return op.rmatvec(units).reshape(op.rows, op.columns)


def assert_dot_test(op: LinearMap, x: Array, y: Array) -> None:
    """``<y, A x> == <A* y, x>`` to the last bit, and neither x nor y is written to."""
    x.flags.writeable = y.flags.writeable = False
    dot_test(op, x, y)


def assert_three_views(op: LinearMap) -> None:
    """Columns by matvec, rows by rmatvec and to_sparse are one matrix, entry by entry."""
    matrix = op.to_sparse()
    assert matrix.shape == (op.rows, op.columns)
    assert matrix.format == "csr"
    np.testing.assert_array_equal(columns(op), matrix.toarray())
    np.testing.assert_array_equal(rows(op), matrix.toarray())


def assert_bounds(op: LinearMap) -> None:
    """fan_in, fan_out and nnz bound what the matrix stores."""
    matrix = op.to_sparse()
    stored = matrix.toarray() != 0
    assert op.fan_in >= stored.sum(axis=1).max(initial=0)
    assert op.fan_out >= stored.sum(axis=0).max(initial=0)
    assert op.nnz >= matrix.nnz
    assert op.workspace >= 0


def assert_absolute(op: LinearMap) -> None:
    """absolute() is |A| entry by entry; where maps cancel, an upper bound of it."""
    size, want = op.absolute().to_sparse().toarray(), np.abs(op.to_sparse().toarray())
    assert (size >= want).all()
    if not _cancels(op):
        np.testing.assert_array_equal(size, want)


def _cancels(op: LinearMap) -> bool:
    """Whether entries of different maps may add up inside this one."""
    base = getattr(op, "base", None)
    return isinstance(op, Chain | Sum) or (base is not None and _cancels(base))


def assert_dtype(op: LinearMap, dtype: npt.DTypeLike, k: int) -> None:
    """Nothing changes the precision of a stack in that of the coefficients."""
    assert op.matvec(np.ones((k, *op.in_shape), dtype)).dtype == dtype
    assert op.rmatvec(np.ones((k, *op.out_shape), dtype)).dtype == dtype
    assert op.to_sparse(dtype).dtype == dtype


def assert_laws(op: LinearMap) -> None:
    """Every law that needs no further draw."""
    assert_three_views(op)
    assert_bounds(op)
    assert_absolute(op)
