"""Ties are counted, and at a tie the map is that of the side that the rule names."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

import onnxlin
from onnxlin.testing import GrownModel, onnx_models
from tests.small import model

HALVES = np.array([-1.0, 0.0, 0.5, 0.0, 2.0, 1.0], np.float32)
UNARY = "g (float[6] x) => (float[6] y) {{ [n] y = {} }}"

# Node text -> its kinks: where it has ties for HALVES, and the slope at each of the six entries.
POINTWISE: dict[str, tuple[list[float], list[float]]] = {
    "Relu (x)": ([0], [0, 0, 1, 0, 1, 1]),
    "Abs (x)": ([0], [-1, 0, 1, 0, 1, 1]),
    "LeakyRelu <alpha=0.25> (x)": ([0], [0.25, 1, 1, 1, 1, 1]),
    "ThresholdedRelu <alpha=0.5> (x)": ([0.5], [0, 0, 0, 0, 1, 1]),
    "HardSigmoid <alpha=0.5, beta=0.5> (x)": ([-1, 1], [0, 0.5, 0.5, 0.5, 0, 0]),
}


def at(text: str, *arrays: Any) -> onnxlin.AffineMap:
    """The map of a small model in float64."""
    proto = model(text)
    given_names = [i.name for i in proto.graph.input]
    x = dict(zip(given_names, arrays, strict=True))
    return onnxlin.linearize(proto, x, dtype=np.float64).verify()


@pytest.mark.parametrize("text", POINTWISE)
def test_pointwise(text: str) -> None:
    kinks, slopes = POINTWISE[text]
    m = at(UNARY.format(text), HALVES)
    np.testing.assert_array_equal(m.W, np.diag(slopes))
    gaps = np.abs(HALVES[:, None] - np.array(kinks)).min(axis=1)
    for distance in (0.0, 0.25, 0.5, 1.0, 1.5):
        assert m.near_kinks(distance) == {"n": int((gaps <= distance).sum())}


def test_edges_of_clip() -> None:
    text = """g (float[6] x) => (float[6] y) <float low = {0}, float high = {1}> {
        [n] y = Clip(x, low, high) }"""
    m = at(text, HALVES)
    np.testing.assert_array_equal(m.W, np.diag([0, 1, 1, 1, 0, 1]))
    assert m.near_kinks() == {"n": 3}
    assert m.near_kinks(0.5) == {"n": 4}


def test_prelu() -> None:
    m = at("g (float[6] x) => (float[6] y) <float s = {3}> { [n] y = PRelu(x, s) }", HALVES)
    np.testing.assert_array_equal(m.W, np.diag([3, 1, 1, 1, 1, 1]))
    assert m.near_kinks() == {"n": 2}


@pytest.mark.parametrize("op_type", ["Max", "Min"])
def test_equal_operands(op_type: str) -> None:
    text = f"g (float[3] a, float[3] b) => (float[3] y) {{ [n] y = {op_type}(a, b) }}"
    m = at(text, np.array([1, 2, 3.0]), np.array([1, 2.5, 0.0]))
    assert m.near_kinks() == {"n": 1}
    assert m.near_kinks(0.5) == {"n": 2}
    first = [1, 0, 1] if op_type == "Max" else [1, 1, 0]
    np.testing.assert_array_equal(m.W, np.hstack([np.diag(first), np.diag(np.subtract(1, first))]))


@pytest.mark.parametrize("op_type", ["ReduceMax", "ReduceMin"])
def test_equal_entries(op_type: str) -> None:
    text = f"g (float[2,3] x) => (float[2,1] y) <int64[1] a = {{1}}> {{ [n] y = {op_type}(x, a) }}"
    m = at(text, np.array([[1, 1, 1.0], [0, 2, 4]]))
    assert m.near_kinks() == {"n": 1}
    assert m.near_kinks(2) == {"n": 2}
    last = [0, 0, 0, 0, 0, 1] if op_type == "ReduceMax" else [0, 0, 0, 1, 0, 0]
    np.testing.assert_array_equal(m.W, [[1, 0, 0, 0, 0, 0], last])


def test_equal_window_maxima() -> None:
    """The runtime's own choice among equal maxima, whichever that is, is one of them."""
    text = """g (float[1,1,4] x) => (float[1,1,2] y) {
        [n] y = MaxPool <kernel_shape=[2], strides=[2]> (x) }"""
    m = at(text, np.array([[[3, 3, 1, 2.0]]]))
    assert m.near_kinks() == {"n": 1}
    assert m.near_kinks(1) == {"n": 2}
    assert m.W[0, :2].sum() == 1
    np.testing.assert_array_equal(m.W[0, 2:], [0, 0])
    np.testing.assert_array_equal(m.W[1], [0, 0, 0, 1])


@pytest.mark.parametrize("name", ["ties_relu", "ties_max", "ties_pool"])
def test_fixtures_with_ties(name: str, fixtures: Path) -> None:
    x = dict(np.load(fixtures / "odd" / f"{name}.npz"))
    m = onnxlin.linearize(fixtures / "odd" / f"{name}.onnx", x)
    assert sum(m.near_kinks().values()) > 0


@given(hnp.arrays(np.float32, 6, elements=hnp.from_dtype(np.dtype(np.int8))))
def test_relu_counts_zeros(x: Any) -> None:
    m = at(UNARY.format("Relu (x)"), x)
    assert m.near_kinks() == {"n": int((x == 0).sum())}


@given(onnx_models(min_nodes=2))
def test_counts_grow_with_the_distance(grown: GrownModel) -> None:
    m = onnxlin.linearize(grown.model, grown.x)
    counts = [m.near_kinks(distance) for distance in (0.0, 0.01, 1.0, np.inf)]
    for fewer, more in pairwise(counts):
        assert all(fewer[name] <= more[name] for name in more)
    assert set(counts[0]) <= {layer.name for layer in m.layers}
