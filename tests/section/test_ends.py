"""Where a map starts and ends when the caller leaves the choice to onnxlin."""

from __future__ import annotations

import numpy as np
import onnx
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


# What is left out, and what could be asked instead

PIPELINE = """g (float[1,1] age, string[1,1] city) => (float y)
    <int64[2] s = {1, 3}, float[4,1] W = {0.5, 5, -3, 0}> {
    h = ai.onnx.ml.OneHotEncoder<cats_strings = ["oslo", "rome", "bern"], zeros = 1>(city)
    r = Reshape(h, s)  all = Concat<axis = 1>(age, r)  y = MatMul(all, W) }"""
PERSON = {"age": np.array([[30.0]]), "city": np.array([["oslo"]])}


def test_inputs_that_are_held_are_said() -> None:
    proto = model(PIPELINE)
    proto.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 3))
    m = linearize(proto, PERSON)
    assert m.notes == (
        "not in W, as they are no floats: 'city' (text[1x1]); what they bring in is part of b. "
        "inputs=['age', 'h'] takes it in",
    )
    whole = linearize(proto, PERSON, inputs=["age", "h"]).verify()
    assert whole.notes == ()
    np.testing.assert_allclose(whole.Wx, m.Wx + 5)


def test_an_index_that_no_float_follows_is_said_to_be_held() -> None:
    text = "g (float[4] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }"
    m = linearize(model(text), {"x": np.arange(4.0), "i": np.array([2])})
    assert m.notes == (
        "not in W, as they are no floats: 'i' (int64[1]); what they bring in is part of b",
    )


ATTENTION = """g (int64[3] ids, float[3] {mask}) => (float[3,2] y)
    <float[5,2] table = {{0,1,2,3,4,5,6,7,8,9}}, float one = {{1}}, float low = {{-10000}}> {{
    e = Gather(table, ids)  t = Transpose(e)  s = MatMul(e, t)
    n = Sub(one, {mask})  a = Mul(n, low)  z = Add(s, a)  p = Softmax(z)  y = MatMul(p, e) }}"""


@pytest.mark.parametrize("mask", ["attention_mask", "which"])
def test_data_come_before_masks(mask: str) -> None:
    proto = model(ATTENTION.format(mask=mask))
    x = {"ids": np.array([1, 4, 0]), mask: np.array([1.0, 1, 0])}
    m = linearize(proto, x).verify()
    assert list(m.inputs) == ["e"]
    assert m.notes == (
        f"the map starts at e, where the integers are looked up; held at x: '{mask}' (float32[3]), "
        f"which only says what counts. inputs=['{mask}'] explains that instead",
    )
    assert list(linearize(proto, x, inputs=mask).inputs) == [mask]


@pytest.mark.parametrize(
    "use", ["z = Mul(s, w)", "n = Relu(w)  z = Add(s, n)", "n = Identity(w)  z = Mul(n, s)"]
)
def test_what_is_no_mask_is_data(use: str) -> None:
    text = ATTENTION.format(mask="w").replace(
        "n = Sub(one, w)  a = Mul(n, low)  z = Add(s, a)", use
    )
    m = linearize(model(text), {"ids": np.array([1, 4, 0]), "w": np.array([1.0, 1, 0])})
    assert list(m.inputs) == ["w"]
    assert "inputs=['w', 'e'] takes it in" in m.notes[0]


SPELT = {
    "softmax": "t = ReduceMax(z, a)  d = Sub(z, t)  e = Exp(d)  s = ReduceSum(e, a)  y = Div(e, s)",
    "without its max": "e = Exp(z)  s = ReduceSum(e, a)  y = Div(e, s)",
    "with a reciprocal": "e = Exp(z)  s = ReduceSum(e, a)  i = Reciprocal(s)  y = Mul(i, e)",
    "with an Expand": "e = Exp(z)  s = ReduceSum(e, a)  k = Shape(e)  i = Expand(s, k)  "
    "y = Div(e, i)",
    "its logarithm": "t = ReduceMax(z, a)  d = Sub(z, t)  e = Exp(d)  s = ReduceSum(e, a)  "
                     "l = Log(s)  y = Sub(d, l)",
    "by one operator": "l = ReduceLogSumExp(z, a)  y = Sub(z, l)",
    "Log": "p = Softmax(z)  y = Log(p)",
    "Clip": "p = Softmax(z)  y = Clip(p, low, high)",
    "Log of Clip": "p = Softmax(z)  q = Clip(p, low, high)  r = Identity(q)  y = Log(r)",
    "TopK": "p = Softmax(z)  y, i = TopK(p, k)",
    "Sigmoid": "p = Sigmoid(z)  y = Clip(p, low, high)",
}  # fmt: skip
CONSTANTS = "<int64[1] a = {1}, int64[1] k = {2}, float low = {0.1}, float high = {0.9}>"


def spelt(head: str) -> onnx.ModelProto:
    head = head.replace("k = Shape", "j = Shape").replace("(s, k)", "(s, j)")
    return model(f"g (float[1,3] x) => (float[1,n] y) {CONSTANTS} {{ z = Neg(x)  {head} }}")


@pytest.mark.parametrize("name", SPELT)
def test_logits_are_found_however_the_end_is_written(name: str) -> None:
    m = linearize(spelt(SPELT[name]), X, outputs="logits").verify()
    assert list(m.outputs) == ["z"]
    assert np.array_equal(m.W, -np.eye(3))
    assert "left out" in m.notes[0]


@pytest.mark.parametrize(
    "head",
    [
        "e = Exp(z)  o = Exp(x)  s = ReduceSum(o, a)  y = Div(e, s)",
        "e = Exp(z)  s = ReduceMean(e, a)  y = Div(e, s)",
        "y = Log(z)",
        "h = Relu(z)  y = Clip(h, low, high)",
        "l = ReduceLogSumExp(x, a)  y = Sub(z, l)",
        "e = Exp(z)  s = ReduceSum(e, a)  y = Mul(e, s)",
    ],
)
def test_what_is_no_softmax_is_not_left_out(head: str) -> None:
    notes = onnxlin.check_model(spelt(head), outputs="logits", compiles=False).notes
    assert "found no softmax or sigmoid" in notes[0]


def test_outputs_that_are_no_floats_come_with_those_inside() -> None:
    text = "g (float[1,3] x) => (int64 y) { z = Neg(x)  i = ArgMax<axis = 1>(z)  y = Abs(i) }"
    with pytest.raises(onnxlin.TensorNameError, match=r"inside: outputs=\['z'\] are the last ones"):
        linearize(model(text), X)
    with pytest.raises(onnxlin.TensorNameError, match=r"outputs=\['z'\] lead to it"):
        linearize(model(text), X, outputs="i")
    with pytest.raises(onnxlin.TensorNameError, match=r"inputs=\['e'\] follow it"):
        linearize(model(EMBEDDED), IDS, inputs="ids")
