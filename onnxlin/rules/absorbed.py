"""Numbers that a sum swallows: x + c is c, as the runtime computes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.lowering import Fact, facts, is_traced
from onnxlin.primitives import Array


def spacing(dtype: np.dtype[Any]) -> float:
    """Distance from 1 to the next number in which sums of a float type are computed.

    Of narrow floats it is that of float32, in which the runtime may leave their sums; 0 of any
    other type, whose sums are exact.
    """
    if dtype.kind != "f" and dtype.name != "bfloat16":
        return 0.0
    return float(np.finfo(np.float64 if dtype == np.float64 else np.float32).eps)


def swallows(total: Array, x: Any, eps: float) -> Array:
    """Where neither x nor a change of it by 1 is seen in a sum.

    A number of x's own size, and 1, are both below the distance of the sum to its neighbours. So a
    small x beside an ordinary number keeps its slope, although this very x may be rounded away.

    Parameters
    ----------
    total, x : array
        Broadcast against each other.
    eps : float
        See `spacing`.
    """
    found: Array = np.abs(total) * eps >= np.maximum(np.abs(x), 1)
    return found


def may_swallow(total: Any, eps: float) -> bool:
    """Whether a sum is so large anywhere; of one in a graph, whether it could be at some x."""
    if is_traced(total):
        return Fact.MODERATE not in facts(total.emitter, total.name)
    return bool(np.abs(total).max(initial=0) * eps >= 1)
