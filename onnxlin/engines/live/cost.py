"""What products of small matrices cost, fitted to those of whole nets.

Rough, but the choices that hang on it are the same each time, which a clock's would not be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.engines.cores import cores
from onnxlin.primitives import Array

# Seconds of a product beside its multiplications, in which Python's lock lets one thread work at a
# time; multiplications a second of a thread; sides at which BLAS has half that rate, and rows at
# which it has; seconds to read or write an entry of a line, and to take one of a kernel. Fitted to
# 215 convolutions of a ResNet-50 at 50 and 250 rows, two processors of the kind that servers have.
CALL, RATE, SIDE, ROWS, ENTRY, TAKEN = 5.5e-6, 6.1e10, 22, 60, 3.2e-10, 1.1e-9


@dataclass(frozen=True)
class Amount:
    """Products of matrices, added up: what they cost hangs on no more.

    Parameters
    ----------
    calls : int
    sides, entries : float
        Lines of both sides, and entries of the kernels.
    """

    calls: int = 0
    sides: float = 0.0
    entries: float = 0.0

    @classmethod
    def of(cls, n: Array, k: Array) -> Amount:
        """Of so many lines with so many each; those of no lines are none."""
        n, k = np.asarray(n, np.float64), np.asarray(k, np.float64)
        some = (n > 0) & (k > 0)
        n, k = n[some], k[some]
        # Not by BLAS, which would have its threads meet for so little.
        return cls(len(n), float((n + k).sum()), float((n * k).sum()))

    def __add__(self, other: Amount) -> Amount:
        """Both."""
        return Amount(
            self.calls + other.calls, self.sides + other.sides, self.entries + other.entries
        )

    def seconds(self, rows: int) -> float:
        """Estimate ``(n, k) x (k, rows)`` in float32."""
        spent = (self.entries + SIDE * self.sides + SIDE**2 * self.calls) * (rows + ROWS) / RATE
        spent += self.sides * rows * ENTRY + self.entries * TAKEN
        return CALL * self.calls + spent / cores()


def products(n: Array, k: Array, rows: int) -> float:
    """Estimate products of so many lines with so many, ``(n, k) x (k, rows)``, in float32.

    Those of no lines are none.
    """
    return Amount.of(n, k).seconds(rows)
