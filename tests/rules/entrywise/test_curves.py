from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import onnxlin
from onnxlin.rules.smooth import ROUNDINGS
from tests.rules.one_node import Array, assert_reproduces, assert_tangent, feeds, frozen, model, run

Function = Callable[[Array], Array]
SELU = (1.67326319217681884765625, 1.05070102214813232421875)


def tanh_gelu(z: Array) -> Array:
    return z * special.expit(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))


def elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


# operator, attributes, range, the function in float64, the size of smooth.py
FUNCTIONS: list[tuple[str, dict[str, Any], tuple[float, float], Function, float]] = [
    ("Sigmoid", {}, (-80, 80), special.expit, 1),
    ("Tanh", {}, (-30, 30), np.tanh, 1),
    ("Erf", {}, (-10, 10), special.erf, 1),
    ("Softplus", {}, (-80, 80), lambda z: np.logaddexp(z, 0), 1),
    ("Softsign", {}, (-1e4, 1e4), lambda z: z / (1 + abs(z)), 0),
    ("Elu", {}, (-80, 80), elu, 1),
    ("Selu", {}, (-80, 80), lambda z: SELU[1] * np.where(z > 0, z, SELU[0] * elu(z)), 2),
    ("Celu", {}, (-80, 80), elu, 1),
    ("Gelu", {}, (-30, 30), lambda z: z * special.ndtr(z), 1),
    ("Gelu", {"approximate": "tanh"}, (-30, 30), tanh_gelu, 1),
    ("HardSwish", {}, (-10, 10), lambda z: z * np.clip(z / 6 + 0.5, 0, 1), 3),
    ("Mish", {}, (-80, 80), lambda z: z * np.tanh(np.logaddexp(z, 0)), 1),
    ("Exp", {}, (-80, 80), np.exp, 0),
    ("Log", {}, (1e-30, 1e6), np.log, 1),
    ("Sqrt", {}, (1e-30, 1e6), np.sqrt, 0),
    ("Reciprocal", {}, (1e-6, 1e6), lambda z: 1 / z, 0),
    ("Sin", {}, (-1000, 1000), np.sin, 1),
    ("Cos", {}, (-1000, 1000), np.cos, 1),
    ("Tan", {}, (-1.5, 1.5), np.tan, 1),
    ("Asin", {}, (-1, 1), np.arcsin, 1),
    ("Acos", {}, (-1, 1), np.arccos, 1),
    ("Atan", {}, (-1e4, 1e4), np.arctan, 1),
    ("Sinh", {}, (-80, 80), np.sinh, 0),
    ("Cosh", {}, (-80, 80), np.cosh, 0),
    ("Asinh", {}, (-1e4, 1e4), np.arcsinh, 1),
    ("Acosh", {}, (1, 1e4), np.arccosh, 1),
    ("Atanh", {}, (-0.999999, 0.999999), np.arctanh, 1),
]
NAMES = [op + "".join(at.values()) for op, at, *_ in FUNCTIONS]
each = pytest.mark.parametrize(
    ("op", "attributes", "reach", "function", "size"), FUNCTIONS, ids=NAMES
)


def points(low: float, high: float) -> Array:
    """Dense over the range, and over all magnitudes near 0."""
    small = np.logspace(-30, np.log10(max(high, 1e-3)), 50_001)
    z = np.concatenate([np.linspace(low, high, 200_001), small, -small]).astype(np.float32)
    return z[(z >= low) & (z <= high)]


@each
def test_errors_of_the_runtime_are_within_the_roundings(
    op: str, attributes: dict[str, Any], reach: tuple[float, float], function: Function, size: float
) -> None:
    z = points(*reach)
    got = run(model(op, [z], **attributes), [z])
    wanted = function(z.astype(np.float64))
    unit, tiny = np.finfo(np.float32).eps / 2, np.finfo(np.float32).tiny
    assert (
        np.abs(got - wanted) <= ROUNDINGS * (unit * np.maximum(np.abs(wanted), size) + tiny)
    ).all()


def inside(reach: tuple[float, float]) -> Array:
    """A few multiples of 1 / 64 well inside of the range."""
    low, high = max(reach[0], -4.0), min(reach[1], 4.0)
    margin = (high - low) / 16
    z = np.linspace(low + margin, high - margin, 7)
    return ((2 * np.floor(z * 32) + 1) / 64).astype(np.float32)


@each
def test_values_slopes_and_gates(
    op: str, attributes: dict[str, Any], reach: tuple[float, float], function: Function, size: float
) -> None:
    z = inside(reach)
    one = model(op, [z], **attributes)
    assert_reproduces(one, [z])
    assert_tangent(one, [z])
    value = function(z.astype(np.float64))
    m = onnxlin.linearize(one, feeds(one, [z]), dtype=np.float64)
    np.testing.assert_allclose(m.W @ z + m.b, value, rtol=1e-13, atol=1e-13)
    W, b = frozen(one, [z])
    at_zero = function(np.zeros(1)) if reach[0] <= 0 else np.ones(1)
    gated = at_zero[0] == 0 or op == "Sqrt"
    np.testing.assert_allclose(np.diag(W), value / z if gated else 0, rtol=1e-12)
    np.testing.assert_allclose(b, 0 if gated else value, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    ("op", "limit"),
    [
        ("Tanh", 1), ("Erf", 2 / np.sqrt(np.pi)), ("Softsign", 1), ("Elu", 1), ("Gelu", 0.5),
        ("Selu", SELU[0] * SELU[1]), ("Celu", 1), ("HardSwish", 0.5), ("Mish", 0.6), ("Sin", 1),
        ("Tan", 1), ("Asin", 1), ("Atan", 1), ("Sinh", 1), ("Asinh", 1), ("Atanh", 1), ("Sqrt", 0),
    ],
)  # fmt: skip
def test_gates_have_their_limit_at_zero(op: str, limit: float) -> None:
    z = np.zeros(2, np.float32)
    W, b = frozen(model(op, [z]), [z])
    np.testing.assert_allclose(W, limit * np.eye(2), rtol=1e-7)
    np.testing.assert_array_equal(b, 0)
