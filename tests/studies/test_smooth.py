"""Straight pieces in place of smooth activations; no net of the study is needed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import onnxlin
from fixtures.studies.smooth.drifts import drifts, regions
from fixtures.studies.smooth.measure import outputs
from fixtures.studies.smooth.pieces import FUNCTIONS, as_one_node, fit, replaced
from fixtures.studies.smooth.sites import CHAINS, sites

WIDTHS = (6, 16, 3)


def net(activation: str, seed: int = 0) -> onnx.ModelProto:
    """Two dense layers, with the activation as torch writes it between them."""
    random = np.random.default_rng(seed)
    weights = {
        "w1": random.standard_normal(WIDTHS[:2]),
        "b1": random.standard_normal(WIDTHS[1]),
        "w2": random.standard_normal(WIDTHS[1:]),
        "root": np.sqrt(2.0),
        "one": 1.0,
        "half": 0.5,
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["p"]),
        helper.make_node("Add", ["p", "b1"], ["z"]),
        *_written(activation),
        helper.make_node("MatMul", ["f", "w2"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, width])
        for name, width in (("x", WIDTHS[0]), ("y", WIDTHS[2]))
    ]
    held = [numpy_helper.from_array(np.float32(v), name) for name, v in weights.items()]
    graph = helper.make_graph(nodes, activation, ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _written(activation: str) -> list[onnx.NodeProto]:
    sides = {"Div": "root", "Add": "one"}
    found, last, chain = [], "z", CHAINS[activation]
    for i, op in enumerate(chain):
        made = "f" if i == len(chain) - 1 else f"t{i}"
        side = "half" if op == "Mul" and i == 4 else "z" if op == "Mul" else sides.get(op)
        found.append(helper.make_node(op, [last, side] if side else [last], [made]))
        last = made
    return found


def xs(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 1, WIDTHS[0])).astype(np.float32)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_the_function_is_the_graphs(activation: str) -> None:
    """Two dense layers and `FUNCTIONS` between them, in NumPy, are what the graph computes."""
    model = net(activation)
    held = {p.name: numpy_helper.to_array(p).astype(float) for p in model.graph.initializer}
    z = xs(20)[:, 0] @ held["w1"] + held["b1"]
    np.testing.assert_allclose(outputs(model, xs(20)), FUNCTIONS[activation](z) @ held["w2"],
                               rtol=1e-4, atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_more_pieces_are_nearer_and_always_exact(activation: str) -> None:
    model, seen = net(activation), xs(200)
    smooth = outputs(model, seen)
    misses = []
    for count in (2, 4, 8, 16):
        made, error = replaced(model, activation, count, seen)
        misses.append(float(np.abs(outputs(made, seen) - smooth).max()))
        assert error < 0.2
        lin = onnxlin.Linearizer(made)
        lin(seen[0]).verify()
        assert regions(lin, seen[:2])["guards"] >= (count - 1) * WIDTHS[1]
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] < misses[0] / 10


def test_pieces_are_the_function_where_it_is_straight() -> None:
    """SELU is a line above 0; pieces are one as well, and they are continuous everywhere."""
    found = fit("selu", np.random.default_rng(0).standard_normal(20000), 16)
    above = np.linspace(0.3, 2, 50)
    np.testing.assert_allclose(found(above), FUNCTIONS["selu"](above), atol=0.02)
    at = found.knots
    np.testing.assert_allclose(found(at - 1e-9), found(at + 1e-9), atol=1e-6)


def test_gelu_as_one_node_is_the_same_function_with_another_frozen_reading() -> None:
    model, x = net("gelu"), xs(1)
    one = as_one_node(model)
    assert [n.op_type for n in one.graph.node].count("Gelu") == 1
    np.testing.assert_allclose(outputs(one, x), outputs(model, x), atol=1e-5)
    tangents = [onnxlin.Linearizer(m)(x[0]).W for m in (model, one)]
    np.testing.assert_allclose(*tangents, rtol=1e-3, atol=1e-4)


def test_a_tangent_misses_less_the_shorter_the_step() -> None:
    found = drifts(onnxlin.Linearizer(net("silu")), xs(4))
    missed = [each["missed"] for each in found.values()]
    assert missed == sorted(missed)
    assert missed[0] < 0.01


def test_a_graph_written_otherwise_is_told() -> None:
    with pytest.raises(ValueError, match="no mish written as"):
        sites(net("elu").graph, "mish")
