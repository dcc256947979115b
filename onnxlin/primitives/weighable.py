"""Maps without coefficients that are infinite or no number: what these would weigh has weight 0."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from onnxlin.lowering import is_traced
from onnxlin.primitives.linear_map import Array, LinearMap


def weighable(value: Any) -> Any:
    """The same array or map, with 0 for every number or coefficient that is not finite.

    Where an output is finite, such a coefficient stands beside a branch that is not taken, an entry
    that a mask has put at infinity, or a vertical tangent; in products 0 times infinity would be no
    number. What is finite throughout is returned as it is.
    """
    if isinstance(value, LinearMap):
        return _map(value)
    if is_traced(value):
        fine = np.isfinite(value) if value.dtype.kind == "f" else np.ones(value.shape, bool)
        return value if isinstance(fine, np.ndarray) else np.where(fine, value, _zero(value))
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f":
        return value if _finite(value) else np.where(np.isfinite(value), value, _zero(value))
    return value


def _map(op: LinearMap) -> LinearMap:
    changed = {}
    for name in _names(type(op)):
        before = getattr(op, name)
        if isinstance(before, tuple):
            after: Any = tuple(weighable(part) for part in before)
            same = all(a is b for a, b in zip(after, before, strict=True))
        elif isinstance(before, sp.csr_array):
            data = weighable(before.data)
            same = data is before.data
            after = before if same else sp.csr_array((data, before.indices, before.indptr))
        else:
            after = weighable(before)
            same = after is before
        if not same:
            changed[name] = after
    return replace(op, **changed) if changed else op


@cache
def _names(kind: type[LinearMap]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in ("in_shape", "out_shape"))


def _finite(value: Array | np.generic) -> bool:
    """Whether all are finite; a sum that is finite says so at half the price of looking at each."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(value.sum())) or bool(np.isfinite(value).all())


def _zero(value: Any) -> Any:
    return np.zeros((), value.dtype)
