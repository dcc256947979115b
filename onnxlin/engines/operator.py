"""The whole map as a `scipy.sparse.linalg.LinearOperator`: sweeps on demand, no W."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator

from onnxlin.engines.forward import push
from onnxlin.engines.reverse import pull
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram


def linear_operator(program: LinearProgram, rows: Seeds) -> LinearOperator:
    """``x -> W x`` by tangent sweeps and ``y -> W.T y`` by adjoint ones, for the rows asked."""

    def forward(x: Array) -> Array:
        # Maps work in the precision of the stack: whole numbers would cut off their coefficients.
        return rows.apply(push(program, np.ascontiguousarray(x.T, dtype=program.dtype)).T)

    def backward(y: Array) -> Array:
        seeds = rows.dense(slice(None), np.dtype(np.float64))
        return pull(program, y.T @ seeds).T

    return LinearOperator(
        (len(rows), program.columns),
        matvec=lambda x: forward(x.reshape(-1, 1)).ravel(),
        rmatvec=lambda y: backward(y.reshape(-1, 1)).ravel(),
        matmat=forward,
        rmatmat=backward,
        dtype=program.dtype,
    )
