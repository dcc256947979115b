"""Smooth functions of one entry: value, slope, and the gate f(z) / z where f(0) is 0."""

from __future__ import annotations

import numpy as np
from scipy import special

from onnxlin.primitives import Array
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.smooth import Point, ratio, smooth


@smooth("Sigmoid", size=1.0)
def sigmoid(node: NodeAtX, z: Array) -> Point:
    """``1 / (1 + exp(-z))``."""
    s = node.computed(lambda: special.expit(z))
    return Point(s, s * special.expit(-z))


@smooth("Tanh", size=1.0)
def tanh(node: NodeAtX, z: Array) -> Point:
    """``tanh(z)``."""
    t = node.computed(lambda: np.tanh(z))
    return Point(t, 1 - t * t, ratio(t, z, 1))


@smooth("Erf", size=1.0)
def erf(_: NodeAtX, z: Array) -> Point:
    """``2 / sqrt(pi) * integral of exp(-t^2)`` from 0 to z."""
    value, top = special.erf(z), 2 / np.sqrt(np.pi)
    return Point(value, top * np.exp(-(z * z)), ratio(value, z, top))


@smooth("Softplus", size=1.0)
def softplus(_: NodeAtX, z: Array) -> Point:
    """``log(1 + exp(z))``."""
    return Point(np.logaddexp(z, 0).astype(z.dtype), special.expit(z))


@smooth("Softsign")
def softsign(_: NodeAtX, z: Array) -> Point:
    """``z / (1 + |z|)``."""
    gate = 1 / (1 + np.abs(z))
    return Point(z * gate, gate * gate, gate)


@smooth("Elu", kinks=(0.0,), size=1.0)
def elu(node: NodeAtX, z: Array) -> Point:
    """``z`` where positive, else ``alpha (exp(z) - 1)``."""
    return _exponential(z, 1.0, node.attr("alpha"), 1.0)


@smooth("Selu", kinks=(0.0,), size=2.0)
def selu(node: NodeAtX, z: Array) -> Point:
    """``gamma z`` where positive, else ``gamma alpha (exp(z) - 1)``."""
    return _exponential(z, node.attr("gamma"), node.attr("gamma") * node.attr("alpha"), 1.0)


@smooth("Celu", kinks=(0.0,), size=1.0)
def celu(node: NodeAtX, z: Array) -> Point:
    """``z`` where positive, else ``alpha (exp(z / alpha) - 1)``."""
    return _exponential(z, 1.0, node.attr("alpha"), node.attr("alpha"))


def _exponential(z: Array, slope: float, top: float, width: float) -> Point:
    """``slope z`` where positive, else ``top (exp(z / width) - 1)``."""
    low = np.minimum(z, 0) / width
    up = z > 0
    return Point(
        np.where(up, slope * z, top * np.expm1(low)),
        np.where(up, slope, top / width * np.exp(low)),
        np.where(up, slope, top / width * special.exprel(low)),
    )


@smooth("Gelu", size=1.0)
def gelu(node: NodeAtX, z: Array) -> Point:
    """``z Phi(z)``, Phi the normal distribution or its tanh approximation."""
    if node.attr("approximate") == "tanh":
        c = np.sqrt(2 / np.pi)
        inner = c * (z + 0.044715 * z**3)
        gate = special.expit(2 * inner)
        return Point(z * gate, gate + 2 * z * gate * (1 - gate) * c * (1 + 0.134145 * z**2), gate)
    gate = special.ndtr(z)
    value = node.computed(lambda: z * gate)
    return Point(value, gate + z * np.exp(z * z * -0.5) * (1 / np.sqrt(2 * np.pi)), gate)


@smooth("HardSwish", kinks=(-3.0, 3.0), size=3.0)
def hard_swish(_: NodeAtX, z: Array) -> Point:
    """``z max(0, min(1, z / 6 + 1 / 2))``."""
    gate = np.clip(z / 6 + 0.5, 0, 1)
    return Point(z * gate, gate + np.where((gate > 0) & (gate < 1), z / 6, 0), gate)


@smooth("Mish", size=1.0)
def mish(_: NodeAtX, z: Array) -> Point:
    """``z tanh(softplus(z))``."""
    gate = np.tanh(np.logaddexp(z, 0))
    return Point(z * gate, gate + z * (1 - gate * gate) * special.expit(z), gate)


@smooth("Swish", size=1.0)
def swish(node: NodeAtX, z: Array) -> Point:
    """``z sigmoid(alpha z)``."""
    alpha = node.attr("alpha")
    gate = special.expit(alpha * z)
    return Point(z * gate, gate + alpha * z * gate * special.expit(-alpha * z), gate)


@smooth("Exp")
def exp(node: NodeAtX, z: Array) -> Point:
    """``exp(z)``."""
    value = node.computed(lambda: np.exp(z))
    return Point(value, value)


@smooth("Log", size=1.0)
def log(_: NodeAtX, z: Array) -> Point:
    """``log(z)``."""
    return Point(np.log(z), 1 / z)


@smooth("Sqrt")
def sqrt(_: NodeAtX, z: Array) -> Point:
    """``sqrt(z)``; at 0 the slope is infinite, and the map is the zero map there."""
    root = np.sqrt(z)
    inverse = ratio(np.ones_like(root), root, 0)
    return Point(root, inverse / 2, inverse)


@smooth("Reciprocal")
def reciprocal(_: NodeAtX, z: Array) -> Point:
    """``1 / z``."""
    return Point(1 / z, -1 / (z * z))


@smooth("Sin", size=1.0)
def sin(_: NodeAtX, z: Array) -> Point:
    """``sin(z)``."""
    return Point(np.sin(z), np.cos(z), ratio(np.sin(z), z, 1))


@smooth("Cos", size=1.0)
def cos(_: NodeAtX, z: Array) -> Point:
    """``cos(z)``."""
    return Point(np.cos(z), -np.sin(z))


@smooth("Tan", size=1.0)
def tan(_: NodeAtX, z: Array) -> Point:
    """``tan(z)``."""
    t = np.tan(z)
    return Point(t, 1 + t * t, ratio(t, z, 1))


@smooth("Asin", size=1.0)
def asin(_: NodeAtX, z: Array) -> Point:
    """``arcsin(z)``; at -1 and 1 the slope is infinite, and the map holds the value there."""
    value = np.arcsin(z)
    slope = ratio(np.ones_like(value), np.sqrt((1 - z) * (1 + z)), 0)
    return Point(value, slope, ratio(value, z, 1))


@smooth("Acos", size=1.0)
def acos(_: NodeAtX, z: Array) -> Point:
    """``arccos(z)``; at -1 and 1 the slope is infinite, and the map holds the value there."""
    slope = ratio(-np.ones_like(z), np.sqrt((1 - z) * (1 + z)), 0)
    return Point(np.arccos(z), slope)


@smooth("Atan", size=1.0)
def atan(_: NodeAtX, z: Array) -> Point:
    """``arctan(z)``."""
    value = np.arctan(z)
    return Point(value, 1 / (1 + z * z), ratio(value, z, 1))


@smooth("Sinh")
def sinh(_: NodeAtX, z: Array) -> Point:
    """``sinh(z)``."""
    return Point(np.sinh(z), np.cosh(z), ratio(np.sinh(z), z, 1))


@smooth("Cosh")
def cosh(_: NodeAtX, z: Array) -> Point:
    """``cosh(z)``."""
    return Point(np.cosh(z), np.sinh(z))


@smooth("Asinh", size=1.0)
def asinh(_: NodeAtX, z: Array) -> Point:
    """``arcsinh(z)``."""
    value = np.arcsinh(z)
    return Point(value, 1 / np.sqrt(1 + z * z), ratio(value, z, 1))


@smooth("Acosh", size=1.0)
def acosh(_: NodeAtX, z: Array) -> Point:
    """``arccosh(z)``; at 1 the slope is infinite, and the map holds the value there."""
    root = np.sqrt((z - 1) * (z + 1))
    return Point(np.arccosh(z), ratio(np.ones_like(root), root, 0))


@smooth("Atanh", size=1.0)
def atanh(_: NodeAtX, z: Array) -> Point:
    """``arctanh(z)``."""
    value = np.arctanh(z)
    return Point(value, 1 / (1 - z * z), ratio(value, z, 1))
