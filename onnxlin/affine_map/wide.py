"""W in float64, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnxlin.primitives import Array

LARGE = 2**24  # entries of W that are brought to float64 at once


def by_rows(W: Array, function: Callable[[Array], Array]) -> Array:
    """Apply a function to W in float64, a few rows at a time, to save memory.

    Parameters
    ----------
    W : array (n_rows, n_in)
    function : callable
        ``(k, n_in) -> (k,)`` for any number k of rows.

    Returns
    -------
    array (n_rows,)
    """
    size = max(LARGE // max(W.shape[1], 1), 1)
    parts = [function(W[i : i + size].astype(np.float64)) for i in range(0, len(W), size)]
    return np.concatenate(parts) if parts else np.zeros(0)
