"""Relative errors of so many roundings, in the worst case and as they are likely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxlin.graph import is_float
from onnxlin.primitives import Array

Rate = Callable[[float, float], float]
"""Relative error of so many roundings, each of at most a unit roundoff."""


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """Half the distance from 1 to the next number; 0 where an integer or captured code is exact."""
    if _is_exact(dtype):
        return 0.0
    # NumPy's finfo does not know bfloat16, which has 8 significant bits.
    return 2.0**-8 if dtype == "bfloat16" else float(np.finfo(dtype).eps) / 2


def smallest(dtype: np.dtype[Any]) -> float:
    """Smallest normal number: below it, roundings are absolute."""
    if _is_exact(dtype):
        return 0.0
    return float(np.finfo(np.float32 if dtype == "bfloat16" else dtype).tiny)


def _is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether tensors of a type hold what straight-through rounding has captured."""
    return not is_float(dtype)


def gamma(count: float, unit: float) -> float:
    """Largest relative error of ``count`` roundings; infinite once they could cancel everything."""
    return count * unit / (1 - count * unit) if count * unit < 1 else float("inf")


def spread(count: float, unit: float) -> float:
    """Standard deviation, at most, of the relative error of ``count`` independent roundings."""
    return float(np.sqrt(count)) * unit


def times(factor: float, size: Array) -> Array:
    """Multiply sizes by a factor that may be infinite; what has no size has no error."""
    if np.isfinite(factor):
        return factor * size
    return np.where(size == 0, 0.0, np.inf)
