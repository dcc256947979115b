"""Two models at one input: what differs, and which node it is that makes the difference."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, linearize
from onnxlin.graph import Array
from onnxlin.readings import Comparison, compare
from onnxlin.testing import GrownModel, onnx_models
from tests.small import X, mlp, model
from tests.test_patterns import Counts

FIXTURES = ("cnn_bn_mnist", "resnet_mnist", "mlp2_mnist")


def copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    new = onnx.ModelProto()
    new.CopyFrom(proto)
    return new


def digit(path: Path) -> Array:
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    x = np.random.default_rng(0).random([d.dim_value or 1 for d in dims])
    return x.astype(np.float32)


def changed(proto: onnx.ModelProto, name: str, entry: int, by: float) -> onnx.ModelProto:
    """The same model with one number of one constant moved."""
    new = copy(proto)
    tensor = next(t for t in new.graph.initializer if t.name == name)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array.ravel()[entry % array.size] += by
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))
    return new


def assert_zero(c: Comparison) -> None:
    """Every difference is exactly 0."""
    assert c.same
    assert c.equal
    assert c.verdict == "equal"
    assert c.departure is None
    assert not c.flips
    for row in c.rows:
        assert row.y_gap == row.W_gap == row.b_gap == row.W_excess == row.contributions_gap == 0
        assert not row.features
    assert all(one.largest == 0 for one in c.outputs)
    assert all(one.changed == 0 for one in c.outputs)
    assert all(one.gap == 0 for one in c.ledger)
    assert {one.state for one in c.tensors} <= {"equal"}


@given(onnx_models(), st.booleans())
def test_a_model_is_itself(grown: GrownModel, frozen: bool) -> None:
    lin = Linearizer(grown.model, mode="frozen" if frozen else "tangent")
    c = compare(lin, lin, grown.x)
    assert_zero(c)
    assert c.names is not None
    assert c.names.share == 1
    assert not c.names.only_a + c.names.only_b


@pytest.mark.parametrize("net", FIXTURES)
def test_a_trained_net_is_itself(fixtures: Path, net: str) -> None:
    path = fixtures / f"{net}.onnx"
    assert_zero(compare(path, path, digit(path)))


def planted(grown: GrownModel, seed: int) -> tuple[onnx.ModelProto, str] | None:
    """A model with one float constant moved by a quarter of itself, and the constant's name."""
    rng = np.random.default_rng(seed)
    floats = [t for t in grown.model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    floats = [t for t in floats if onnx.numpy_helper.to_array(t).size]
    if not floats:
        return None
    tensor = floats[int(rng.integers(len(floats)))]
    array = onnx.numpy_helper.to_array(tensor)
    entry = int(rng.integers(array.size))
    by = float(np.float32(0.25) * array.ravel()[entry]) or 0.25
    return changed(grown.model, tensor.name, entry, by), tensor.name


def test_a_planted_change_is_found_where_it_is() -> None:
    """Nodes that read the constant are named first, and no other node is ever accused."""
    counts = Counts()

    @given(onnx_models(min_nodes=2, ties=False), st.integers(0, 99))
    def law(grown: GrownModel, seed: int) -> None:
        made = planted(grown, seed)
        if made is None:
            return
        other, name = made
        try:
            c = compare(grown.model, other, grown.x)
        except onnxlin.OnnxlinError:
            return  # the change makes a shape, or a NaN
        readers = {n.name or f"{n.op_type}:{n.output[0]}" for n in reads(grown.model, name)}
        accused = [one for one in c.tensors if one.state == "introduced"]
        for one in accused:
            assert any(repr(reader) in node for reader in readers for node in one.nodes_a)
        if c.departure is None:
            counts.skipped += 1
            assert c.same
            return
        counts.used += 1
        assert c.first is accused[0]
        assert name in c.first.constants
        assert repr(name) in c.departure

    law()
    assert counts.used > 10, vars(counts)


def reads(proto: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    """Nodes that read a tensor, in their subgraphs as well."""
    return [node for node in proto.graph.node if name.encode() in node.SerializeToString()]


@pytest.mark.parametrize("net", FIXTURES)
def test_a_changed_weight_of_a_trained_net_is_named(fixtures: Path, net: str) -> None:
    """Whatever layer it is in, the first node that departs is the one that reads it."""
    path = fixtures / f"{net}.onnx"
    proto, x = onnx.load(path), digit(path)
    lin, reaches = Linearizer(proto), 0
    layers = [node for node in proto.graph.node if node.op_type in ("Conv", "Gemm")]
    for node in layers:
        bias = node.input[2] if len(node.input) > 2 else node.input[1]
        other = changed(proto, bias, 1, 0.5)
        c = compare(lin, other, x)
        # A unit that is dead with and without the change brings nothing to the map.
        assert c.equal or not c.same
        reaches += not c.same
        assert c.first is not None
        assert repr(node.name) in c.first.nodes_a[-1]
        assert c.first.constants == (bias,)
        assert str(c.first) == c.departure
        states = [one.state for one in c.tensors]
        assert states.count("introduced") == 1
        assert set(states[: states.index("introduced")]) <= {"equal"}
    assert reaches > len(layers) / 2


def test_differences_are_symmetric(fixtures: Path) -> None:
    path = fixtures / "mlp2_mnist.onnx"
    proto = onnx.load(path)
    other, x = changed(proto, proto.graph.initializer[0].name, 3, 0.1), digit(path)
    one, two = compare(proto, other, x), compare(other, proto, x)
    for r, s in zip(one.rows, two.rows, strict=True):
        assert (r.y, r.b, r.W_sizes) == (s.y[::-1], s.b[::-1], s.W_sizes[::-1])
        assert (r.y_gap, r.W_gap, r.b_gap, r.same) == (s.y_gap, s.W_gap, s.b_gap, s.same)
        assert r.cosine == pytest.approx(s.cosine)
        assert r.W_excess == pytest.approx(s.W_excess)
        assert [f.index for f in r.features] == [f.index for f in s.features]
    assert [(t.a, t.state) for t in one.tensors] == [(t.a, t.state) for t in two.tensors]


def test_numbers_are_those_of_the_maps() -> None:
    """Against W, b and y of two maps, entry by entry."""
    a, b = mlp(), changed(mlp(), "A", 1, 0.5)
    c = compare(a, b, X)
    m, n = (linearize(p, X, dtype=np.float64) for p in (a, b))
    for i, row in enumerate(c.rows):
        gap = m.W[i] - n.W[i]
        assert row.y == (m.y[i], n.y[i])
        assert row.b == pytest.approx((m.b[i], n.b[i]))
        assert row.W_gap == pytest.approx(np.linalg.norm(gap))
        assert row.W_relative == pytest.approx(np.linalg.norm(gap) / np.linalg.norm(m.W[i]))
        assert row.contributions_gap == pytest.approx(np.abs(gap * m.x).sum())
        top = row.features[0]
        assert abs(top.weights[0] - top.weights[1]) == pytest.approx(np.abs(gap).max())
        assert top.contributions == pytest.approx(tuple(w * top.x for w in top.weights))
        assert row.cosine == pytest.approx(
            m.W[i] @ n.W[i] / np.linalg.norm(m.W[i]) / np.linalg.norm(n.W[i])
        )
    for one in c.ledger:
        assert one.a == one.b
        np.testing.assert_array_equal(one.shares[0], m.bias_by_node[one.a])
        np.testing.assert_array_equal(one.shares[1], n.bias_by_node[one.b])


def renamed(proto: onnx.ModelProto, *, nodes: bool) -> onnx.ModelProto:
    """Every tensor under another name, and every node."""
    new = copy(proto)
    graph = new.graph
    for node in graph.node:
        if nodes:
            node.name = f"other_{node.name}"
        for names in (node.input, node.output):
            names[:] = [f"t_{name}" if name else "" for name in names]
    for named in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        named.name = f"t_{named.name}"
    return new


@pytest.mark.parametrize("nodes", [False, True])
def test_inputs_and_outputs_of_other_names_are_matched_by_their_order(nodes: bool) -> None:
    c = compare(mlp(), renamed(mlp(), nodes=nodes), X)
    assert c.equal
    assert c.departure is None
    assert c.notes == (
        "inputs matched by their order, as the names differ: 'x' with 't_x'",
        "outputs matched by their order, as the names differ: 'y' with 't_y'",
    )
    assert c.names is not None
    assert set(c.names.tensors) == {"x", "y"}
    # The last node makes the output, so that it is matched all the same.
    assert c.names.nodes["last"] == ("other_last" if nodes else "last")
    assert len(c.names.nodes) == (1 if nodes else 3)
    assert c.names.only_a == (("first", "act") if nodes else ())


def test_inputs_and_outputs_in_another_order_are_matched_by_name() -> None:
    text = "g ({ins}) => ({outs}) {{ y = MatMul(u, v)  h = Relu(u)  z = Sub(h, u) }}"
    u, v, y, z = "float[2,3] u", "float[3,2] v", "float[2,2] y", "float[2,3] z"
    a = model(text.format(ins=f"{u}, {v}", outs=f"{y}, {z}"))
    b = model(text.format(ins=f"{v}, {u}", outs=f"{z}, {y}"))
    rng = np.random.default_rng(0)
    x = {"u": rng.normal(size=(2, 3)), "v": rng.normal(size=(3, 2))}
    for rows in (None, [0, 5, 9]):
        c = compare(a, b, x, rows=rows)
        assert_zero(c)
        assert not c.notes
    # Combinations add up the outputs in another order.
    assert compare(a, b, x, rows=rng.normal(size=(2, 10))).same


@pytest.mark.parametrize("net", FIXTURES)
@pytest.mark.parametrize("level", ["BASIC", "EXTENDED"])
def test_an_optimised_net_is_the_same_within_rounding(
    fixtures: Path, tmp_path: Path, net: str, level: str
) -> None:
    path, target = fixtures / f"{net}.onnx", tmp_path / "optimised.onnx"
    optimise(path, target, level)
    c = compare(path, target, digit(path))
    assert c.same
    assert c.departure is None
    assert c.names is not None
    if net == "cnn_bn_mnist":
        assert not c.equal  # normalisations are folded into weights, which rounds them
        assert c.verdict == "within rounding"
        assert c.names.only_a
        assert str(c).startswith("the same map: rounding explains every difference")


def optimise(path: Path, target: Path, level: str) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}"
    )
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@given(onnx_models(max_nodes=5))
def test_onnxruntimes_basic_optimiser_keeps_the_map_of_random_graphs(grown: GrownModel) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    other = through_a_file(grown.model, options)
    c = compare(grown.model, other, grown.x)
    assert c.same, str(c)
    assert c.departure is None, str(c)


def through_a_file(proto: onnx.ModelProto, options: onnxruntime.SessionOptions) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/optimised.onnx"
        data = proto.SerializeToString()
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return onnx.load(f"{folder}/optimised.onnx")


@given(onnx_models(), st.booleans())
def test_composing_in_single_precision_is_within_the_bounds(
    grown: GrownModel, frozen: bool
) -> None:
    """W and b of one program in float32 and in float64, entry by entry."""
    lin = Linearizer(grown.model, mode="frozen" if frozen else "tangent")
    single, double = (lin(grown.x, dtype=kind) for kind in (np.float32, np.float64))
    c = compare(single, double)
    assert c.judged == "every entry"
    assert c.same, str(c)
