"""Assertions hold for what is right and say what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.primitives import identity
from onnxlin.rules import Affine
from onnxlin.testing.assertions import assert_linearizes, assert_same_map
from onnxlin.testing.verdicts import LawError
from tests.small import X, mlp, model

SMOOTH = "g (float[3] x) => (float[3] y) { [bend] t = Tanh(x)  y = Relu(t) }"


def test_a_model_linearizes_at_x_and_at_drawn_ones() -> None:
    assert assert_linearizes(mlp(), X) is None
    assert_linearizes(mlp(), {"x": X}, mode="frozen", laws="at-x", rows=[0], dtype=np.float64)
    assert_linearizes(model(SMOOTH), seed=3)
    assert_linearizes(mlp().SerializeToString(), X, outputs="r", engine="explicit")


def test_what_does_not_linearize_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    true = onnxlin.RULES["", "Relu"]
    wrong = lambda node: Affine({0: identity(node.shape(0))})
    monkeypatch.setitem(onnxlin.RULES, ("", "Relu"), replace(true, function=wrong))
    with pytest.raises(AssertionError, match="first node that departs: Relu at node 'act'"):
        assert_linearizes(mlp(), X)
    with pytest.raises(LawError):
        assert_linearizes(mlp())
    assert_linearizes(mlp(), X, laws=["readings", "ledger", "operator"])


def test_one_mode_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    true = onnxlin.RULES["", "Tanh"]

    def wrong(node: object) -> object:
        piece = true.function(node)
        return piece if node.mode == "tangent" else replace(piece, bias=node.cast(np.ones(())))

    monkeypatch.setitem(onnxlin.RULES, ("", "Tanh"), replace(true, function=wrong))
    x = np.array([1.0, 2.0, 3.0])
    assert_linearizes(model(SMOOTH), x, mode="tangent")
    with pytest.raises(LawError, match=r"mode='frozen'"):
        assert_linearizes(model(SMOOTH), x)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"mode": "both"}, onnxlin.OptionError, "mode='both'; expected one of"),
        ({"laws": ["none"]}, onnxlin.OptionError, r"There is no law \['none'\]"),
        ({"x": np.ones((2, 3))}, onnxlin.InputError, "Input 'x' has shape"),
        ({"outputs": "none"}, onnxlin.TensorNameError, "no such tensor"),
    ],
)
def test_what_cannot_be_used_is_no_failure_of_a_law(options: dict, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        assert_linearizes(mlp(), **({"x": X} | options))


def test_a_map_that_does_not_exist_at_x_is_an_error() -> None:
    log = model("g (float[2] x) => (float[2] y) { y = Log(x) }")
    with pytest.raises(onnxlin.TraceError, match="NaN or infinite"):
        assert_linearizes(log, -np.ones(2))
    assert_linearizes(log)  # some of what is drawn has a logarithm


def test_laws_that_say_nothing_do_not_pass() -> None:
    proto = model(SMOOTH)
    with pytest.raises(onnxlin.OptionError, match="No law had anything to say: no region"):
        assert_linearizes(proto, np.ones(3), laws="inside")


# Two models


def scaled(factor: float) -> onnx.ModelProto:
    """The small net, with the weights of its first layer times a factor."""
    proto = mlp()
    weight = next(t for t in proto.graph.initializer if t.name == "A")
    array = onnx.numpy_helper.to_array(weight) * np.float32(factor)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, "A"))
    return proto


def test_a_model_is_the_same_map_as_itself_and_as_what_an_optimiser_makes_of_it() -> None:
    assert assert_same_map(mlp(), mlp(), X) is None
    text = "g (float[1,3] x) => (float[1,2] y) <{w}> {{ {nodes} }}"
    weights = "float[3,2] A = {1, 2, 3, 4, 5, 6}, float[2] c = {1, 2}"
    fused = model(text.format(w=weights, nodes="y = Gemm(x, A, c)"))
    apart = model(text.format(w=weights, nodes="h = MatMul(x, A)  y = Add(h, c)"))
    assert_same_map(fused, apart, X, mode="tangent", rows=[0])


def test_another_weight_makes_another_map_and_is_named() -> None:
    with pytest.raises(LawError, match=r"first node that departs: .*first") as found:
        assert_same_map(mlp(), scaled(1.01), X)
    assert found.value.law == "same-map"
    assert "tangent" in str(found.value)
    assert_same_map(mlp(), scaled(1.01), X, tol=0.1)


def test_what_two_models_cannot_share_is_an_error() -> None:
    with pytest.raises(onnxlin.OptionError, match="mode='both'"):
        assert_same_map(mlp(), mlp(), X, mode="both")
    with pytest.raises(onnxlin.InputError):
        assert_same_map(mlp(), model(SMOOTH), X)
