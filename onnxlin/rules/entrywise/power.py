"""Powers of one tensor by another."""

from __future__ import annotations

from functools import reduce
from operator import mul

import numpy as np

from onnxlin.primitives import Array, LinearMap
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import rule
from onnxlin.rules.smooth import ROUNDINGS


@rule("Pow", status="smooth")
def power(node: NodeAtX) -> Affine:
    """``z ** c``, base and exponent broadcast.

    ``frozen`` takes ``z ** (c - 1)`` where c is constant and positive, and holds the value
    elsewhere. Where a slope is infinite, at the root of 0, the map is the zero map.
    """
    z, c = (node.cast(node.value(i)) for i in (0, 1))
    # Roots of 0 and logarithms of what is not positive are asked for, and replaced below.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = _raised(z, c, 0)
        gate = _finite(_raised(z, c, 1))
    size = np.abs(value)
    if node.frozen:
        passes = (c > 0) & (not node.traced(1))
        if isinstance(passes, np.ndarray | np.bool_) and not passes.any():
            return Affine({}, value, None, size, ROUNDINGS)
        passes = np.broadcast_to(passes, node.out_shape)
        held = np.where(passes, 0, value)
        return Affine({0: weighted(node, 0, gate * passes)}, held, roundings=ROUNDINGS)
    slopes = {0: _finite(c * gate)}
    if node.traced(1):
        with np.errstate(over="ignore", invalid="ignore"):
            slopes[1] = _finite(np.log(np.where(z > 0, z, 1)) * value)
    terms: dict[int, LinearMap] = {}
    offset = value
    for i in (0, 1):
        if node.traced(i):
            terms[i] = weighted(node, i, slopes[i])
            offset = offset - slopes[i] * (z, c)[i]
    return Affine(terms, offset, None, size, ROUNDINGS)


def _raised(z: Array, c: Array, less: int) -> Array:
    """``z ** (c - less)``: of small whole powers a product, for which NumPy takes a twentieth."""
    plain = isinstance(z, np.ndarray) and isinstance(c, np.ndarray | np.generic)
    if plain and c.size == 1 and c.ndim <= z.ndim and c.item() - less in (1, 2, 3):
        return reduce(mul, [z] * int(c.item() - less))
    return z ** (c - less) if less else z**c


def _finite(slope: Array) -> Array:
    return np.where(np.isfinite(slope), slope, 0)
