"""Initialisers that are inputs, too: constants until a caller gives another value."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import Linearizer
from onnxlin.testing import assert_linearizes
from tests.engines.compiled.exported import run, session

X = np.array([1, -1, 2], np.float32)
W, OTHER = np.array([1, 2, 3], np.float32), np.array([5, -5, 7], np.float32)
ENGINES = ("reverse", "forward", "explicit", "live", "cut", "compiled", "auto")


def product(ir_version: int = 8, size: int = 3, *, both: bool = True) -> onnx.ModelProto:
    """``Relu(x * w)``; in files of version 3 every initialiser is among the inputs."""
    helper = onnx.helper
    given = [helper.make_tensor_value_info(n, 1, [size]) for n in ("x", "w")]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])],
        "g",
        given if both else given[:1],
        [helper.make_tensor_value_info("y", 1, [size])],
        [onnx.numpy_helper.from_array(np.resize(W, size), "w")],
    )
    imports = [helper.make_opsetid("", 9)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def slopes(w: np.ndarray) -> np.ndarray:
    return np.diag(np.where(X * w > 0, w, 0))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ir_version", [3, 8])
def test_given_or_not(ir_version: int, engine: str) -> None:
    lin = Linearizer(product(ir_version))
    for _ in range(2):
        for w in (W, OTHER, -OTHER):
            m = lin({"x": X, "w": w}, engine=engine).verify()
            np.testing.assert_array_equal(m.W, slopes(w))
            np.testing.assert_array_equal(m.y, np.maximum(X * w, 0))
        np.testing.assert_array_equal(lin(X, engine=engine).verify().W, slopes(W))
        np.testing.assert_array_equal(lin({"x": X}, engine=engine).W, slopes(W))


def test_it_is_held_unless_named() -> None:
    assert list(onnxlin.linearize(product(), {"x": X, "w": OTHER}).inputs) == ["x"]
    for x in ({"x": X, "w": W}, {"x": X}, X):
        m = onnxlin.linearize(product(), x, inputs=["x", "w"]).verify()
        np.testing.assert_array_equal(m.W[:, 3:], np.diag(np.where(X > 0, X, 0)))
    assert list(onnxlin.linearize(product(), X, inputs="w").inputs) == ["w"]


def test_where_every_input_has_a_value() -> None:
    proto = product()
    proto.graph.initializer.append(onnx.numpy_helper.from_array(X, "x"))
    m = onnxlin.linearize(proto, {}).verify()
    assert list(m.inputs) == ["x", "w"]
    np.testing.assert_array_equal(m.y, np.maximum(X * W, 0))


def test_large_ones() -> None:
    """They lie beside the model."""
    size = 40_000
    x, w = np.ones(size, np.float32), np.arange(size, dtype=np.float32)
    lin = Linearizer(product(size=size))
    for _ in range(2):
        assert lin({"x": x, "w": w}, rows=[7]).W[0, 7] == 7
        assert lin(x, rows=[7]).W[0, 7] == np.resize(W, size)[7]


def test_other_initialisers_are_constants() -> None:
    with pytest.raises(onnxlin.InputError, match=r"x names \['w'\] unknown"):
        onnxlin.linearize(product(both=False), {"x": X, "w": W})
    with pytest.raises(onnxlin.TensorNameError, match="are initialisers: constants of the model"):
        onnxlin.linearize(product(both=False), X, inputs=["w"])
    with pytest.raises(onnxlin.InputError, match=r"Input 'w' has shape \(2,\)"):
        onnxlin.linearize(product(), {"x": X, "w": W[:2]})


def test_compiled_and_checked() -> None:
    assert [i.name for i in onnxlin.compile_model(product()).graph.input] == ["x", "seeds"]
    made = onnxlin.compile_model(product(), x={"x": X, "w": W})
    answer = run(session(made), {"x": X, "w": OTHER, "seeds": np.eye(3, dtype=np.float32)})
    np.testing.assert_array_equal(answer["seeds_W"], slopes(OTHER))
    report = onnxlin.check_model(product(), inputs=["w"])
    assert report.inputs == ("w",)
    assert report.compiles


def test_the_laws_hold_there() -> None:
    assert_linearizes(product(), {"x": X, "w": OTHER})
    assert_linearizes(product(), {"x": X, "w": OTHER}, inputs=["x", "w"])


@pytest.mark.parametrize("engine", ENGINES)
def test_many_instances_give_them_too(engine: str) -> None:
    stacks = {"x": np.stack([X] * 8), "w": np.stack([W, OTHER] * 4)}
    maps = list(Linearizer(product()).map(stacks, engine=engine))
    for m, w in zip(maps, stacks["w"], strict=True):
        np.testing.assert_array_equal(m.W, slopes(w))
