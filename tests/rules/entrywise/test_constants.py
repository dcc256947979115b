"""Operators whose output is constant except at jumps, and their affine relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxlin
from tests.rules.lone import Array, assert_derivative, assert_reproduces, feeds, linearised, model

X = np.array([[0.7, -1.6, 2.2], [-0.3, 1.4, -2.9]], dtype=np.float32)


@pytest.mark.parametrize("op_type", ["Sign", "Floor", "Ceil", "Round", "EyeLike"])
def test_staircases_are_held(op_type: str) -> None:
    proto = model(op_type, 13 if op_type != "EyeLike" else 9, [X])
    for mode in ("tangent", "frozen"):
        m = linearised(proto, {"i0": X}, mode)
        assert not m.W.any()
        np.testing.assert_array_equal(m.b, m.y)


@pytest.mark.parametrize(
    ("op_type", "options"),
    [
        ("RandomNormalLike", {"mean": 3.0, "seed": 1.0}),
        ("RandomUniformLike", {"low": 2.0, "high": 3.0}),
        ("Bernoulli", {}),
    ],
)
def test_draws_are_captured(op_type: str, options: dict[str, Any]) -> None:
    """b is what this very run has drawn, not another draw."""
    m = linearised(model(op_type, 15, [np.abs(X) / 3], **options), {"i0": np.abs(X) / 3})
    assert not m.W.any()
    np.testing.assert_array_equal(m.b, m.y)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_hot_is_linear_in_its_values(axis: int) -> None:
    index, values = np.array([[0, 2], [-1, 7]]), np.array([-0.5, 2.0], dtype=np.float32)
    inputs = [index, np.array(3), values]
    proto = model("OneHot", 11, inputs, axis=axis)
    assert_reproduces(proto, feeds(inputs))
    m = linearised(proto, feeds(inputs))
    # 7 is out of range, so it is nowhere on; -1 is the last of 3.
    on = np.moveaxis(np.stack([index == 0, index == 1, (index == 2) | (index == -1)]), 0, axis)
    np.testing.assert_array_equal(m.W, np.stack([~on.ravel(), on.ravel()], axis=1))
    assert not m.b.any()


def test_one_hot_of_float_indices_is_constant_in_them() -> None:
    inputs = [np.array([0.5, 2.25], np.float32), np.array(3.5, np.float32), X[0, :2].copy()]
    m = linearised(model("OneHot", 11, inputs), feeds(inputs))
    assert not m.W[:, :3].any()
    assert m.W[:, 3:].any()


@pytest.mark.parametrize("span", [(0.5, 4.0, 0.75), (3.0, -2.2, -0.5)])
def test_range(span: tuple[float, float, float]) -> None:
    for dtype in (np.float32, np.float64):
        inputs = [np.array(v, dtype) for v in span]
        proto = model("Range", 11, inputs)
        assert_reproduces(proto, feeds(inputs))
    assert_derivative(proto, feeds(inputs))


def test_empty_range() -> None:
    inputs = [np.array(v, np.float32) for v in (3.0, 1.0, 0.5)]
    assert linearised(model("Range", 11, inputs), feeds(inputs)).W.shape == (0, 3)


def _modulo(dtype: type) -> list[Array]:
    a = np.array([[5.3, -5.3, 0.4, -0.4], [9.7, -9.7, 2.2, 3.3]], dtype)
    return [a, np.array([2.1, 2.1, -1.7, 0.9], dtype)]


def test_fmod() -> None:
    for dtype in (np.float32, np.float64):
        inputs = _modulo(dtype)
        proto = model("Mod", 13, inputs, fmod=1)
        assert_reproduces(proto, feeds(inputs))
    assert_derivative(proto, feeds(inputs))
    assert not linearised(proto, feeds(inputs)).b.any()


def test_margins_of_jumps() -> None:
    """Distances to the nearest jump, in the input's own units."""
    steps = {"Floor": [0.25, 0.5, 0.125], "Round": [0.25, 0.0, 0.375], "Sign": [0.25, 1.5, 2.875]}
    for op_type, wanted in steps.items():
        lin = onnxlin.Linearizer(model(op_type, 13, [np.zeros(3)]))
        x = {"i0": np.array([0.25, 1.5, -2.875])}
        (step,) = lin.decider(lin.trace(x), np.dtype(np.float64)).steps
        assert step.margin is not None
        np.testing.assert_array_equal(step.margin(), wanted)


def test_margin_of_a_remainder() -> None:
    lin = onnxlin.Linearizer(model("Mod", 13, [np.zeros(2), np.ones(2)], fmod=1))
    x = {"i0": np.array([0.25, 3.25]), "i1": np.array([2.0, 2.0])}
    (step,) = lin.decider(lin.trace(x), np.dtype(np.float64)).steps
    assert step.margin is not None
    # 0 itself is no jump of fmod.
    np.testing.assert_array_equal(step.margin(), [1.75, 0.75])
