"""Operands that are usually constant, when they depend on x: kernels, slopes, edges."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlin import Linearizer, linearize
from tests.small import model

CONV = model(
    "g (float[2,4,5,5] x, float[6,2,3,3] w, float[6] b) => (float y) "
    "{ y = Conv<group=2, pads=[1,0,1,2], strides=[2,1], dilations=[1,2]>(x, w, b) }"
)
SHAPES = {"x": (2, 4, 5, 5), "w": (6, 2, 3, 3), "b": (6,)}


def whole(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: rng.integers(-3, 4, shape).astype(np.float32) for n, shape in SHAPES.items()}


def test_tangent_of_a_convolution_in_both_operands() -> None:
    """F is bilinear: F(v + d) = F(v) + W d + F(d), exactly on whole numbers, with no bias in d."""
    lin, v, d = Linearizer(CONV), whole(0), whole(1)
    m = lin(v, dtype=np.float64).verify()
    both = {name: v[name] + d[name] for name in v}
    d_alone = {**d, "b": np.zeros(6, np.float32)}
    step = np.concatenate([d[name].ravel() for name in m.inputs])
    gap = lin.run(both)["y"] - lin.run(v)["y"] - lin.run(d_alone)["y"]
    np.testing.assert_array_equal(m.W @ step, gap.ravel())


@pytest.mark.parametrize("inputs", [["w"], ["w", "b"], ["x", "b"], ["x", "w", "b"]])
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_convolution_of_any_operands(inputs: list[str], mode: str) -> None:
    m = linearize(CONV, whole(2), inputs=inputs, mode=mode, dtype=np.float64).verify()
    assert m.layers[0].status == (mode if {"x", "w"} <= set(inputs) else "exact")
    np.testing.assert_allclose(m.W @ m.x + m.b, m.y, rtol=1e-12)


X = np.array([[2.0, -3.0], [-1.0, 4.0]])


def test_slopes_that_move() -> None:
    text = "g (float[2,2] x, float[2] s) => (float y) { y = PRelu(x, s) }"
    feeds = {"x": X, "s": np.array([0.5, 0.25])}
    tangent = linearize(model(text), feeds).verify()
    np.testing.assert_array_equal(tangent.W[:, :4], np.diag([1, 0.25, 0.5, 1]))
    np.testing.assert_array_equal(tangent.W[:, 4:], [[0, 0], [0, -3], [-1, 0], [0, 0]])
    frozen = linearize(model(text), feeds, mode="frozen").verify()
    np.testing.assert_array_equal(frozen.W[:, :4], np.diag([1, 0.125, 0.25, 1]))
    assert not frozen.b.any()
    alone = linearize(model(text), feeds, inputs=["s"]).verify()
    np.testing.assert_array_equal(alone.b, [2, 0, 0, 4])


def test_edges_that_move() -> None:
    text = "g (float[2,2] x, float low, float high) => (float y) { y = Clip(x, low, high) }"
    feeds = {"x": X, "low": np.array(-2.0), "high": np.array(3.0)}
    m = linearize(model(text), feeds).verify()
    np.testing.assert_array_equal(m.W[:, :4], np.diag([1, 0, 1, 0]))
    np.testing.assert_array_equal(m.W[:, 4:], [[0, 0], [1, 0], [0, 0], [0, 1]])
    assert {layer.status for layer in m.layers} == {"exact"}
    assert not m.b.any()
