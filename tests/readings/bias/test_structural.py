"""Where nothing has a bias, b is 0 and W x is Integrated Gradients from 0."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given as draw
from hypothesis import settings

from onnxlin import AffineMap, Linearizer, ResidualError, linearize
from onnxlin.readings import contributions, structural_zero
from onnxlin.testing import GrownModel, onnx_models
from tests.readings.nets import NETS, bias_free, given
from tests.small import X, mlp, model
from tests.twin import by_hand

ZOO = os.environ.get("ONNXLIN_ZOO", "")
few = settings(max_examples=max(settings().max_examples // 2, 1))

# Among these many graphs have no bias; a part of them bends all the same.
MAYBE = ["Relu", "LeakyRelu", "Abs", "MaxPool", "Max", "Min", "ReduceMax", "TopK", "MatMul", "Mul"]
MAYBE += ["Div", "Where", "Clip", "ThresholdedRelu", "Shrink", "HardSigmoid", "Neg", "Transpose"]


def integrated_gradients(lin: Linearizer, x: np.ndarray, rows: Any, steps: int) -> np.ndarray:
    """Riemann sum of the middle points from 0 to x."""
    at = (np.arange(steps) + 0.5) / steps
    maps = [lin(t * x, rows=rows, dtype=np.float64) for t in at]
    return sum(m.W for m in maps) / steps * x.ravel()


def assert_integrated_gradients(lin: Linearizer, x: np.ndarray, rows: Any, steps: int) -> None:
    m = lin(x, rows=rows, dtype=np.float64)
    found = structural_zero(m)
    assert found
    assert found.is_integrated_gradients
    assert not m.b.any()
    gap = np.abs(integrated_gradients(lin, x, rows, steps) - contributions(m).values)
    # Sums of W x to rounding: entry by entry, as the bound of a row holds for its sum.
    assert (gap.sum(axis=1) <= 2 * m.composition_bound * m.scale).all()


def test_a_net_without_biases_is_its_own_integrated_gradients() -> None:
    x = np.random.default_rng(1).standard_normal((1, 1, 8, 8)).astype(np.float32)
    lin = Linearizer(bias_free())
    assert_integrated_gradients(lin, x, None, 100)
    text = "b = 0 must hold: no path has a bias; W x is Integrated Gradients from 0, exactly"
    assert str(structural_zero(lin(x))) == text


@pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")
def test_a_denoiser_without_biases_is_its_own_integrated_gradients() -> None:
    path = Path(ZOO) / "denoise_dncnn_bias_free_0-55.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    x = np.random.default_rng(0).random((1, 1, 64, 64)).astype(np.float32)
    assert_integrated_gradients(Linearizer(onnx.load(path)), x, [2080], 4)


@pytest.mark.parametrize("name", NETS)
def test_nets_with_biases_are_told_apart(name: str) -> None:
    path, x = given(name)
    m = linearize(path, x)
    found = structural_zero(m)
    assert not found
    assert not found.is_integrated_gradients
    assert {node for node, share in m.bias_by_node.items() if share.any()} <= set(found.biased)
    assert str(found).startswith("b need not be 0: ")
    assert str(found).endswith("bring in a bias")


@draw(onnx_models(MAYBE, min_nodes=2, max_nodes=6))
def test_what_it_says_holds_on_any_graph(grown: GrownModel) -> None:
    m = linearize(grown.model, grown.x, dtype=np.float64)
    found = structural_zero(m)
    if found.holds:
        assert not m.b.any()
    if found.is_integrated_gradients:
        hand = by_hand(m)
        for t in (0.5, 0.125, 2.0**-10):  # powers of two: nothing is rounded on the way
            near = linearize(
                grown.model, {n: (t * v).astype(v.dtype) for n, v in grown.x.items()},
                dtype=np.float64,
            )  # fmt: skip
            assert (np.abs(near.W - m.W) <= hand.slack).all()
            assert (np.abs(near.b) <= hand.bias_slack).all()


BENT: dict[str, tuple[str, str]] = {
    "a threshold": ("", "y = ThresholdedRelu<alpha=0.5>(x)"),
    "a hard shrink": ("", "y = Shrink<lambd=0.5>(x)"),
    "a cap that x has not reached": ("float low = {0.5}", "y = Clip(x, low)"),
    "a constant rival that lost": ("float low = {0.5}", "y = Max(x, low)"),
    "a comparison": ("float half = {0.5}, float two = {2}",
                     "c = Greater(x, half) d = Mul(x, two) y = Where(c, d, x)"),
    "a divisor that jumps": ("float half = {0.5}, float one = {1}",
                             "c = Greater(x, half) f = Cast<to=1>(c) g = Add(f, one) "
                             "y = Div(x, g)"),
    "a factor that jumps": ("float half = {0.5}, float one = {1}",
                            "c = Greater(x, half) f = Cast<to=1>(c) g = Add(f, one) "
                            "y = Mul(g, x)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_no_bias_and_yet_bent(name: str) -> None:
    more, nodes = BENT[name]
    proto = model(f"g (float[2] x) => (float[2] y) <{more}> {{ {nodes} }}")
    x = np.array([1.0, 2.0], np.float32)
    m, near = (linearize(proto, t * x) for t in (1, 0.25))
    assert not np.array_equal(m.W, near.W) or near.b.any()
    found = structural_zero(m)
    assert found.holds
    assert not found.is_integrated_gradients
    assert "may change below x" in str(found)


STRAIGHT: dict[str, tuple[str, str]] = {
    "Relu as Clip": ("float low = {0}", "y = Clip(x, low)"),
    "Relu6 inside": ("float low = {0}, float six = {6}", "y = Clip(x, low, six)"),
    "Relu as Max": ("float low = {0}", "y = Max(x, low)"),
    "Clip without edges": ("", "y = Clip(x)"),
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_no_bias_and_straight(name: str) -> None:
    more, nodes = STRAIGHT[name]
    proto = model(f"g (float[2] x) => (float[2] y) <{more}> {{ {nodes} }}")
    assert structural_zero(linearize(proto, np.array([1.0, -2.0]))).is_integrated_gradients


def test_frozen_gates_are_bent() -> None:
    proto = model("g (float[2] x) => (float[2] y) { y = Gelu(x) }", opset=20)
    found = structural_zero(linearize(proto, np.array([1.0, -2.0]), mode="frozen"))
    assert found.holds
    assert not found.is_integrated_gradients


def test_outputs_that_are_constant_count() -> None:
    proto = model(
        "g (float[2] x) => (float[2] y, float[1] z) <float[1] c = {4}> { y = Relu(x) z = Abs(c) }"
    )
    assert structural_zero(linearize(proto, np.ones(2))).biased == ("z",)


def test_many_names_are_cut_short() -> None:
    path, x = given("resnet_fashion")
    assert "more bring in a bias" in str(structural_zero(linearize(path, x)))


def test_a_planted_error_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((1, 1, 8, 8), np.float32)
    m = linearize(bias_free(), x)
    wrong = m.Wx + 2 * (m.bound * m.scale).max()
    monkeypatch.setattr(AffineMap, "Wx", property(lambda m: wrong))
    with pytest.raises(ResidualError, match=r"W x, b = 0 by structure, against F\(x\): row"):
        structural_zero(m)
    assert not structural_zero(linearize(mlp(), X))
