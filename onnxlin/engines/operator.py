"""The whole map as a `scipy.sparse.linalg.LinearOperator`: sweeps on demand, no W."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator

from onnxlin.engines.forward import push
from onnxlin.engines.reverse import pull
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram


class MapOperator(LinearOperator):
    """``x -> W x`` by tangent sweeps and ``y -> W.T y`` by adjoint ones, for the rows asked.

    Parameters
    ----------
    program : LinearProgram
    rows : Seeds
    """

    def __init__(self, program: LinearProgram, rows: Seeds) -> None:
        super().__init__(program.dtype, (len(rows), program.columns))  # type: ignore[call-arg]
        self.program, self.rows = program, rows

    def _matmat(self, x: Array) -> Array:
        # Maps work in the precision of the stack: whole numbers would cut off their coefficients.
        columns = np.ascontiguousarray(x.T, dtype=self.program.dtype)
        return self.rows.apply(push(self.program, columns).T)

    def _rmatmat(self, y: Array) -> Array:
        seeds = self.rows.dense(slice(None), np.dtype(np.float64))
        return pull(self.program, y.T @ seeds).T

    def _matvec(self, x: Array) -> Array:
        return self._matmat(x.reshape(-1, 1)).ravel()

    def _rmatvec(self, y: Array) -> Array:
        return self._rmatmat(y.reshape(-1, 1)).ravel()
