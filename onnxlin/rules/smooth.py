"""Smooth functions of one entry, in both readings.

``tangent`` takes the slope f'(z) and makes up the rest by a bias. ``frozen`` takes f(z) / z, in a
closed form with its limit at 0, where f(0) = 0; where f(0) is not 0 it holds the value f(z).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from onnxlin.primitives import Array, Diagonal, weighable
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.guards import nearest
from onnxlin.rules.registry import rule

# Errors of the runtime's float32 kernels, in units of ``u max(|f|, size)``, over 400,000 points of
# each function's range: at most 13.0 (Gelu by tanh, near z = -5), 5.2 for all others. Held by
# tests/rules/entrywise/test_curves.py, rounded up to a power of two for other processors' kernels.
ROUNDINGS = 16


class Point(NamedTuple):
    """A function at z: its value, its slope, and its gate ``f(z) / z`` (None: f(0) is not 0)."""

    value: Array
    slope: Array
    gate: Array | None = None


def smooth(
    *op_types: str, size: float = 0.0, kinks: tuple[float, ...] = ()
) -> Callable[[Callable[[NodeAtX, Array], Point]], Callable[[NodeAtX, Array], Point]]:
    """Register a function of one entry.

    Parameters
    ----------
    size : float
        Errors of the runtime are relative to this where the value itself is smaller.
    kinks : tuple of float
        Where the slope jumps.
    """

    def register(function: Callable[[NodeAtX, Array], Point]) -> Callable[[NodeAtX, Array], Point]:
        def linearised(node: NodeAtX) -> Affine:
            piece = touch(node, function(node, node.value(0)), size)
            if not kinks:
                return piece
            z = node.native(0)
            margin = lambda: nearest(*(z - kink for kink in kinks))
            return Affine(piece.terms, piece.bias, margin, piece.bias_size, piece.roundings)

        rule(*op_types, status="smooth")(linearised)
        return function

    return register


def touch(node: NodeAtX, at: Point, size: float = 0.0) -> Affine:
    """Answer with the tangent, or with the gate, of a function of input 0."""
    z, value = node.value(0), node.cast(at.value)
    scale = np.maximum(np.abs(value), size)
    if not node.frozen:
        slope = weighable(node.cast(at.slope))
        # At infinity the function has its limit, and no slope.
        offset = value - slope * weighable(z)
        return Affine({0: Diagonal.of(z.shape, slope)}, offset, None, scale, ROUNDINGS)
    if at.gate is None:
        return Affine({}, value, None, scale, ROUNDINGS)
    gate, fine = Diagonal.of(z.shape, node.cast(at.gate)), np.isfinite(z)
    everywhere = isinstance(fine, np.ndarray) and fine.all()
    offset = None if everywhere else np.where(fine, 0, value).astype(value.dtype)
    return Affine({0: gate}, offset, None, scale if size else None, ROUNDINGS)


def ratio(value: Array, z: Array, limit: float) -> Array:
    """``value / z``, and its limit where z is 0."""
    zero = z == 0
    return np.where(zero, limit, value / np.where(zero, 1, z))
