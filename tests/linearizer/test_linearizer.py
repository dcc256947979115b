"""The public calls beyond one map at one x: stacks, options, what a map and its layers say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import Linearizer, linearize
from onnxlin.testing.models import run
from tests.small import X, mlp, model

ENGINES = ("explicit", "reverse", "forward", "live", "cut")
SUM = "g (float[1,2] a, float[1,3] b) => (float[1,1] y, float[1,2] z) <int64[1] i = {1}> "
SUM += "{ [sum] y = ReduceSum(b, i)  [add] z = Add(a, y) }"


def test_map_over_a_stack() -> None:
    xs = np.random.default_rng(0).normal(size=(4, 1, 3)).astype(np.float32)
    lin = Linearizer(mlp())
    for stack in (xs, xs[:, 0], {"x": xs}, {"x": xs[:, 0]}):
        maps = list(lin.map(stack, rows=[1], dtype=np.float64))
        assert len(maps) == len(xs)
        for m, x in zip(maps, xs, strict=True):
            alone = linearize(mlp(), x, rows=[1], dtype=np.float64)
            np.testing.assert_array_equal(m.W, alone.W)
            np.testing.assert_array_equal(m.b, alone.b)
            np.testing.assert_array_equal(m.x, x.ravel())


def test_map_over_nothing() -> None:
    assert list(Linearizer(mlp()).map(np.ones((0, 3), np.float32))) == []


def test_map_over_two_inputs() -> None:
    stack = {"a": np.ones((3, 2)), "b": np.arange(9.0).reshape(3, 1, 3)}
    maps = list(Linearizer(model(SUM)).map(stack))
    assert [float(m.outputs["y"][0, 0]) for m in maps] == [3, 12, 21]


def test_inputs_and_outputs_are_side_by_side() -> None:
    x = {"a": np.ones((1, 2)), "b": np.full((1, 3), 2.0)}
    m = linearize(model(SUM), x)
    assert m.columns_of == {"a": slice(0, 2), "b": slice(2, 5)}
    np.testing.assert_array_equal(m.W, [[0, 0, 1, 1, 1], [1, 0, 1, 1, 1], [0, 1, 1, 1, 1]])
    np.testing.assert_array_equal(m.y, [6, 7, 7])
    np.testing.assert_array_equal(m({"a": x["a"] + 1, "b": x["b"]}), [6, 8, 8])
    np.testing.assert_array_equal(m(m.x), m.y)


def test_an_input_left_out_is_held_constant() -> None:
    x = {"a": np.ones((1, 2)), "b": np.full((1, 3), 2.0)}
    m = linearize(model(SUM), x, inputs="a").verify()
    np.testing.assert_array_equal(m.W, [[0, 0], [1, 0], [0, 1]])
    # The first output does not depend on what is linearised; its value is its own bias.
    assert {name: list(share) for name, share in m.bias_by_node.items()} == {
        "add": [0, 6, 6],
        "y": [6, 0, 0],
    }


def test_bytes_path_and_proto_are_one_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(mlp(), path)
    maps = [linearize(source, X) for source in (mlp(), path, str(path), path.read_bytes())]
    for m in maps:
        np.testing.assert_array_equal(m.W, maps[0].W)


def test_a_map_says_what_it_is() -> None:
    m = linearize(mlp(), X)
    assert repr(m) == "<AffineMap ['x'] -> ['y'], W 2 x 3 float32>"
    assert m.engine == "reverse"
    assert m.plan.startswith("2 rows are no more than 3 columns; explicit would take about")
    assert linearize(mlp(), X, engine="explicit").plan == "asked for"
    assert linearize(mlp(), X, outputs=["h", "y"]).engine == "forward"
    assert m.mode == "tangent"
    assert linearize(mlp(), X, mode="frozen").verify().mode == "frozen"


def test_layers_say_what_they_are() -> None:
    layers = linearize(mlp(), X).layers
    assert [layer.name for layer in layers] == ["first", "act", "last"]
    assert [layer.op_type for layer in layers] == ["Gemm", "Relu", "MatMul"]
    assert {layer.status for layer in layers} == {"exact"}
    assert [layer.output for layer in layers] == ["h", "r", "y"]
    assert [list(layer.terms) for layer in layers] == [["x"], ["h"], ["r"]]
    assert [layer.bias.shape for layer in layers] == [(4,), (4,), (2,)]


def test_a_node_that_reads_a_tensor_twice() -> None:
    text = "g (float[2] x) => (float[2] y) { [n] y = Add(x, x) }"
    m = linearize(model(text), np.array([1, 2.0]))
    np.testing.assert_array_equal(m.layers[0].terms["x"].toarray(), 2 * np.eye(2))
    np.testing.assert_array_equal(m.W, 2 * np.eye(2))


def test_float64_models_have_float64_maps() -> None:
    text = "g (double[2] x) => (double[2] y) { y = Relu(x) }"
    m = linearize(model(text), np.array([1, -2.0])).verify()
    assert m.W.dtype == np.float64
    assert linearize(model(text), np.array([1, -2.0]), dtype=np.float32).W.dtype == np.float32


@pytest.mark.parametrize("memory", ["1MiB", "1.5 gb", "2000k", 10**6, 1e6, None])
def test_memory_is_read(memory: Any) -> None:
    linearize(mlp(), X, memory=memory).verify()


@pytest.mark.parametrize("engine", ENGINES)
def test_progress_ends(engine: str) -> None:
    seen: list[tuple[int, int]] = []
    m = linearize(mlp(), X, engine=engine, progress=lambda *at: seen.append(at))
    assert m.W.shape == (2, 3)
    assert seen
    assert seen[-1][0] == seen[-1][1]


def test_check_model_counts_folded_nodes() -> None:
    text = """g (float[2,3] x) => (float[3,2] y) <int64[2] p = {1, 0}> {
        s = Shape(x)  r = Gather(s, p)  y = Reshape(x, r) }"""
    report = onnxlin.check_model(model(text))
    assert report.ok
    assert [node.status for node in report.nodes] == ["folded", "folded", "exact"]
    assert report.histogram == {"Shape": 1, "Gather": 1, "Reshape": 1}
    assert report.as_dict()["ok"] is True
    assert report.as_dict()["nodes"][2]["op_type"] == "Reshape"


def test_duplicated_and_taken_names() -> None:
    text = """g (float[2] x) => (float[2] y) {
        [n] h = Relu(x)  ["n:h"] k = Neg(h)  [n] y = Abs(k) }"""
    m = linearize(model(text), np.array([1, -2.0])).verify()
    names = [layer.name for layer in m.layers]
    assert len(set(names)) == 3
    assert names[1] == "n:h"


@pytest.mark.parametrize("engine", ENGINES)
def test_padding_with_minus_infinity(engine: str) -> None:
    """What no maximum takes may be infinite: the map is finite all the same."""
    text = """g (float[1,1,3] x) => (float[1,1,3] y)
        <int64[6] p = {0, 0, 1, 0, 0, 1}, float v> {
        h = Pad(x, p, v)  y = MaxPool <kernel_shape=[3]> (h) }"""
    proto = model(text)
    del proto.graph.initializer[:]
    for name, value in (("p", np.array([0, 0, 1, 0, 0, 1])), ("v", np.float32(-np.inf))):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    m = linearize(proto, np.array([[[1, 3, 2.0]]]), engine=engine).verify()
    np.testing.assert_array_equal(m.W, [[0, 1, 0]] * 3)
    np.testing.assert_array_equal(m.b, [0, 0, 0])


def test_sparse_initialisers() -> None:
    text = "g (float[2,3] x) => (float[2,3] y) { y = Mul(x, s) }"
    for indices in (np.array([1, 5]), np.array([[0, 1], [1, 2]])):
        proto = model(text)
        proto.graph.sparse_initializer.append(
            onnx.helper.make_sparse_tensor(
                onnx.numpy_helper.from_array(np.array([2, 3], np.float32), "s"),
                onnx.numpy_helper.from_array(indices, "i"),
                [2, 3],
            )
        )
        x = np.ones((2, 3), np.float32)
        m = linearize(proto, x).verify()
        np.testing.assert_array_equal(m.W, np.diag([0, 2, 0, 0, 0, 3]))
        np.testing.assert_array_equal(m.y, run(proto, {"x": x})[0].ravel())


def test_extrema_over_no_entries_are_constants() -> None:
    text = """g (float[2] x) => (float[1] y) <int64[1] z = {0}, float low = {-1}> {
        e = Slice(x, z, z)  r = ReduceMax(e, z)  y = Clip(r, low) }"""
    for dtype in (np.float32, np.float64):
        m = linearize(model(text), np.ones(2), dtype=dtype).verify()
        assert not m.W.any()
        np.testing.assert_array_equal(m.b, m.y)


def test_an_input_that_is_the_output_is_mapped_by_the_identity(fixtures):
    x = np.random.default_rng(0).random((1, 1, 28, 28))
    m = onnxlin.linearize(str(fixtures / "mlp2_mnist.onnx"), x, outputs="image").verify()
    assert np.array_equal(m.W, np.eye(784))
    assert not m.b.any()


@pytest.mark.parametrize("engine", ["reverse", "compiled"])
@pytest.mark.parametrize("count", [3, 70])
def test_each_instance_has_a_row_of_its_own(fixtures: Path, engine: str, count: int) -> None:
    """Stacked or one by one: the row asked of each, and no other instance's."""
    lin = onnxlin.Linearizer(fixtures / "lenet5_mnist.onnx")
    xs = np.random.default_rng(0).random((count, 1, 28, 28), np.float32)
    rows = [3 * i % 10 for i in range(count)]
    found = list(lin.map(xs, engine=engine, each=rows))
    assert len(found) == count
    for i in (0, 1, count // 2, count - 1):
        m = lin(xs[i][None], engine="reverse")
        assert found[i].rows.index.tolist() == [rows[i]]
        np.testing.assert_allclose(found[i].W[0], m.W[rows[i]], atol=1e-5)
        np.testing.assert_allclose(found[i].b[0], m.b[rows[i]], atol=1e-5)
        found[i].verify()


@pytest.mark.parametrize("rows", [None, [0]])
def test_rows_of_each_are_one_for_every_instance(rows: list[int] | None, fixtures: Path) -> None:
    lin, xs = onnxlin.Linearizer(fixtures / "mlp2_mnist.onnx"), np.zeros((3, 1, 28, 28))
    with pytest.raises(onnxlin.RowsError, match=r"each= has \d rows for 3 instances"):
        lin.map(xs, rows, each=[1, 2] if rows is None else [1, 2, 3])
