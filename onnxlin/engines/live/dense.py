"""Any map between live entries: by its adjoint over all of its entries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.engines.live.cost import RATE
from onnxlin.engines.live.places import Places
from onnxlin.primitives import Array, LinearMap

# Entries of arrays that are turned round that a second is enough for.
TURNED = 1e9


@dataclass(frozen=True, eq=False)
class Dense:
    """Any map, by its adjoint over all of its entries, a few rows at a time."""

    op: LinearMap
    source: Places
    target: Places
    block: int

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Spread, go back, and take."""
        if fresh:
            out[...] = 0
        for start in range(0, G.shape[1], self.block):
            rows = slice(start, start + self.block)
            part = G[:, rows]
            full = np.zeros((part.shape[1], self.op.rows), G.dtype)
            full[:, self.source.flat] = part.T
            back = self.op.rmatvec(full.reshape(len(full), *self.op.out_shape))
            out[:, rows] += back.reshape(len(back), self.op.columns)[:, self.target.flat].T

    @property
    def most(self) -> int:
        """Lines that are held beside those of both ends: all entries, and what is taken of them."""
        return self.op.rows + 2 * self.op.columns

    def seconds(self, rows: int) -> float:
        """By all entries, which are read and written in another order before and after."""
        return rows * (self.op.nnz / RATE + (self.op.rows + self.op.columns) / TURNED)
