"""Where a map starts and ends when the caller leaves the choice to onnxlin."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin import AffineMap, check_model, linearize
from tests.small import model

HEADS = {
    "Softmax": "p = Softmax(z)  y = Identity(p)",
    "Sigmoid": "y = Sigmoid(z)",
    "LogSoftmax": "p = LogSoftmax(z)  q = Squeeze(p)  y = Cast<to = 1>(q)",
}
X = np.array([[0.5, -1.0, 2.0]])


def net(head: str) -> bytes:
    return model(f"g (float[1,3] x) => (float y) {{ h = Relu(x)  z = Neg(h)  {head} }}")


@pytest.mark.parametrize("op", HEADS)
def test_logits_end_before_what_squashes_them(op: str) -> None:
    m = linearize(net(HEADS[op]), X, outputs="logits").verify()
    assert list(m.outputs) == ["z"]
    assert np.array_equal(m.W, -np.diag([1.0, 0.0, 1.0]))
    assert m.notes == (f"outputs=\"logits\" left out {op} at node '{op}:{_first(op)}': z",)


def _first(op: str) -> str:
    return "y" if op == "Sigmoid" else "p"


def test_logits_of_an_old_softmax_are_the_tensor_of_the_file() -> None:
    text = "g (float[1,3,1,1] x) => (float y) { z = Neg(x)  y = Softmax(z) }"
    m = linearize(model(text, opset=11), X.reshape(1, 3, 1, 1), outputs="logits").verify()
    assert list(m.outputs) == ["z"]


def test_logits_without_a_softmax_are_the_outputs() -> None:
    m = linearize(net("y = Abs(z)"), X, outputs=["logits"])
    assert list(m.outputs) == ["y"]
    assert "found no softmax or sigmoid" in m.notes[0]


def test_a_tensor_called_logits_comes_first() -> None:
    text = "g (float[1,3] x) => (float y) { logits = Neg(x)  z = Neg(logits)  y = Softmax(z) }"
    m = linearize(model(text), X, outputs="logits")
    assert list(m.outputs) == ["logits"]
    assert m.notes == ()


EMBEDDED = """g (int64[3] ids, int64[3,1] mask) => (float[4] y)
    <float[5,4] table = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19}, int64[1] a = {0}> {
    e = Gather(table, ids)  f = Cast<to = 1>(mask)  z = Mul(e, f)
    y = ReduceSum<keepdims = 0>(z, a) }"""
IDS = {"ids": np.array([0, 2, 4]), "mask": np.array([[1], [0], [1]])}


def test_integers_start_at_their_embedding() -> None:
    m = linearize(model(EMBEDDED), IDS, dtype=np.float64).verify()
    assert list(m.inputs) == ["e"]
    np.testing.assert_array_equal(m.W, np.hstack([np.eye(4), 0 * np.eye(4), np.eye(4)]))
    assert "the map starts at e" in m.notes[0]
    assert check_model(model(EMBEDDED)).notes == m.notes


def test_integers_without_a_table_start_at_the_first_floats() -> None:
    text = "g (int64[2] i) => (float[2] y) { f = Cast<to = 1>(i)  y = Neg(f) }"
    m = linearize(model(text), np.array([3, 4])).verify()
    assert list(m.inputs) == ["f"]
    assert np.array_equal(m.W, -np.eye(2))


def test_notes_survive_a_file(tmp_path) -> None:
    m = linearize(net(HEADS["Softmax"]), X, outputs="logits")
    m.save(tmp_path / "m.npz")
    assert AffineMap.load(tmp_path / "m.npz").notes == m.notes


def test_initialisers_are_no_inputs() -> None:
    with pytest.raises(onnxlin.TensorNameError, match="are initialisers"):
        linearize(model(EMBEDDED), IDS, inputs="table")
