"""What is known of tensors before a run holds at every run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.lowering import Emitter
from onnxlin.lowering.facts import Fact, facts
from onnxlin.testing import GrownModel, onnx_models
from tests.small import model


def emitter(proto: onnx.ModelProto) -> Emitter:
    graph = Emitter(np.float32)
    for constant in proto.graph.initializer:
        graph.keep(constant.name, onnx.numpy_helper.to_array(constant))
    for node in proto.graph.node:
        graph.add(node)
    return graph


@settings(max_examples=max(settings().max_examples, 1))
@given(onnx_models(max_nodes=8, opsets=NEWEST_RUNNABLE))
def test_facts_hold(grown: GrownModel) -> None:
    graph = emitter(grown.model)
    for name, value in grown.tensors(floats=False).items():
        found = facts(graph, name)
        assert Fact.NOT_NEGATIVE not in found or (value >= 0).all(), name
        assert Fact.NOT_ZERO not in found or (value != 0).all(), name


@pytest.mark.parametrize(
    ("text", "finite"),
    [
        ("y = Relu(x)", True),
        ("h = MatMul(x, w)  y = Tanh(h)", True),
        ("y = Log(x)", False),
        ("y = Sqrt(x)", False),
        ("y = Div(x, x)", False),
        ("y = Div(x, w)", True),
        ("y = Exp(x)", False),
        ("s = Mul(x, x)  m = ReduceMean(s)  e = Add(m, eps)  r = Sqrt(e)  y = Div(x, r)", True),
        ("s = Pow(x, two)  m = ReduceMean(s)  e = Add(m, eps)  r = Sqrt(e)  y = Div(x, r)", True),
        (
            "s = Pow(x, two)  m = ReduceMean(s, last)  e = Add(m, eps)  r = Sqrt(e)  "
            "q = Reciprocal(r)  y = Mul(x, q)",
            True,
        ),
        ("s = Pow(x, two)  r = Sqrt(s)  y = Div(x, r)", False),
        ("y = Add(x, lowest)", False),
        ("c = Greater(x, w)  y = Where(c, x, lowest)", False),
        ("h = Softmax(x)  y = MatMul(h, w)", True),
        ("m = Add(x, lowest)  y = Softmax(m)", True),
        ("m = Add(x, lowest)  d = Add(m, lowest)  y = Softmax(d)", False),
        ("m = Mul(x, lowest)  y = Softmax(m)", False),
        ("c = Greater(x, w)  m = Where(c, eps, lowest)  s = Add(x, m)  y = Softmax(s)", True),
        ("y = Slice(x, none, far)", True),
        ("l = Add(x, lowest)  y = Slice(l, none, far)", False),
        ("y = Pad(x, edges)", True),
        ("y = Pad(x, edges, eps)", True),
        ("y = Pad(x, edges, lowest)", False),
        ("y = Gather(x, none)", True),
    ],
)
def test_what_keeps_numbers_finite(text: str, finite: bool) -> None:
    proto = model(
        "g (float[2,2] x) => (float[2,2] y) <float[2,2] w = {1, -2, 3, 4}, float eps = {1e-5}, "
        "float two = {2}, float lowest = {-3.4e38}, int64[1] none = {0}, int64[4] edges = "
        f"{{0, 0, 0, 0}}, int64[1] last = {{-1}}, "
        f"int64[1] far = {{9223372036854775807}}> {{ {text} }}"
    )
    assert (Fact.FINITE in facts(emitter(proto), "y")) is finite
