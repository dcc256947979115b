from __future__ import annotations

import numpy as np
import pytest

from tests.rules.one_node import assert_reproduces, assert_tangent, frozen, grid, model

RNG = np.random.default_rng(0)
Z = grid(RNG, 2, 3)


@pytest.mark.parametrize("exponent", [2, 3, 0, 1, -1, -2])
def test_whole_exponents_of_any_base(exponent: int) -> None:
    for kind in (np.int64, np.float32):
        one = model("Pow", [Z], {1: np.array(exponent, kind)})
        assert_reproduces(one, [Z])
        assert_tangent(one, [Z])
        W, b = frozen(one, [Z])
        value = Z.astype(np.float64).ravel() ** exponent
        live = exponent > 0
        np.testing.assert_allclose(np.diag(W), value / Z.ravel() if live else 0, rtol=1e-14)
        np.testing.assert_allclose(b, 0 if live else value, rtol=1e-14, atol=1e-300)


def test_exponents_that_depend_on_x() -> None:
    base, exponent = np.abs(grid(RNG, 2, 3)), grid(RNG, 3)
    for inputs, held in (([base, exponent], {}), ([exponent], {0: base})):
        one = model("Pow", inputs, held)
        assert_reproduces(one, inputs)
        assert_tangent(one, inputs)
        W, b = frozen(one, inputs)
        assert not W.any()
        np.testing.assert_allclose(b, (base.astype(np.float64) ** exponent).ravel(), rtol=1e-13)


def test_broadcast_exponents_with_every_sign() -> None:
    base, exponent = np.abs(grid(RNG, 3, 1)), np.array([-1.5, 0, 0.5, 2.5], np.float32)
    one = model("Pow", [base], {1: exponent})
    assert_reproduces(one, [base])
    assert_tangent(one, [base])


@pytest.mark.parametrize(("exponent", "slope"), [(1, 1), (2, 0), (0.5, 0), (0, 0)])
def test_at_zero(exponent: float, slope: float) -> None:
    z = np.zeros(2, np.float32)
    one = model("Pow", [z], {1: np.array(exponent, np.float32)})
    assert_reproduces(one, [z])
    W, b = frozen(one, [z])
    np.testing.assert_array_equal(W, slope * np.eye(2))
    np.testing.assert_array_equal(b, float(exponent == 0))
