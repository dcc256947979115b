"""A model cut open, or begun, at hidden tensors is the same function of them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer
from onnxlin.section.cut import BESIDE, begun_at, cut_open
from onnxlin.testing.models import run
from tests.small import model

TEXT = """
g (float[2] x, float[2] z) => (float[2] y) {
    h = Relu(x)  k = Neg(x)  s = Add(h, z)  t = Mul(s, k)  y = Add(t, h)
}
"""
FEEDS = {"x": np.array([1, -2], np.float32), "z": np.array([3, 5], np.float32)}
H = np.array([0.5, 7], np.float32)


def by_hand(h: np.ndarray, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return (h + z) * -x + h


def test_cut_open() -> None:
    """What is fed is read; the node that made it still runs, and writes beside it."""
    whole = model(TEXT)
    before = whole.SerializeToString()
    cut = cut_open(whole, {"h": H})
    assert whole.SerializeToString() == before
    onnx.checker.check_model(cut)
    assert [info.name for info in cut.graph.input] == ["x", "z", "h"]
    assert cut.graph.node[0].output[0] == "h" + BESIDE
    (y,) = run(cut, {**FEEDS, "h": H})
    np.testing.assert_array_equal(y, by_hand(H, **FEEDS))
    (own,) = run(whole, FEEDS)
    assert not np.array_equal(y, own)


def test_an_input_is_not_added_twice() -> None:
    cut = cut_open(model(TEXT), {"x": H, "h": H}, "'")
    assert [info.name for info in cut.graph.input] == ["x", "z", "h"]
    assert cut.graph.node[0].output[0] == "h'"


@pytest.mark.parametrize("inputs", [("h",), ("h", "k"), ("s",), ("k", "x")])
def test_begun(inputs: tuple[str, ...]) -> None:
    """At x it is the model; elsewhere what does not depend on its inputs is as it was at x."""
    lin = Linearizer(model(TEXT))
    begun, at = begun_at(lin.graph, FEEDS, inputs, ("y",))
    assert [info.name for info in begun.graph.input] == list(inputs)
    assert set(at) == set(inputs)
    (y,) = run(begun, at)
    np.testing.assert_array_equal(y, run(model(TEXT), FEEDS)[0])
    moved = {name: value + 1 for name, value in at.items()}
    x, z = FEEDS["x"], FEEDS["z"]
    h = moved.get("h", np.maximum(moved.get("x", x), 0))
    k = moved.get("k", -moved.get("x", x))
    s = moved.get("s", h + z)
    np.testing.assert_array_equal(run(begun, moved)[0], s * k + h)
