"""Compiled models in files: one, or two where the weights lie apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxlin
from onnxlin.engines.compiled.export import files
from tests.engines.compiled.exported import Reference, run, session
from tests.graph.test_weights import X, wide

SEEDS = np.eye(4, X.size, dtype=np.float32)


def assert_same_answers(path: Path, made: onnx.ModelProto) -> None:
    """The file, and what was returned, both are the map."""
    onnx.checker.check_model(path, full_check=True)
    want = Reference.at(wide(), X)
    for opened in (session(str(path)), session(made)):
        want.assert_rows(SEEDS, run(opened, {"x": X, "seeds": SEEDS}))


def test_one_file(tmp_path) -> None:
    path = tmp_path / "one.onnx"
    made = onnxlin.compile_model(wide(), path)
    assert os.listdir(tmp_path) == ["one.onnx"]
    assert_same_answers(path, made)


def test_weights_apart_on_demand(tmp_path) -> None:
    path = tmp_path / "two.onnx"
    for _ in range(2):  # the second time over the first
        made = onnxlin.compile_model(wide(), path, external_data=True)
        assert sorted(os.listdir(tmp_path)) == ["two.onnx", "two.onnx.data"]
        # Weights are there once, and in one file only.
        assert path.with_name("two.onnx.data").stat().st_size <= 2 * X.size**2 * 4 + 2**16
        assert path.stat().st_size < 20_000
        assert_same_answers(path, made)


def test_weights_apart_where_one_file_cannot_hold_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MOST_INSIDE", 1000)
    path = tmp_path / "two.onnx"
    assert_same_answers(path, onnxlin.compile_model(wide(), path))
    assert path.with_name("two.onnx.data").exists()
    with pytest.raises(onnxlin.OptionError, match=r"external_data=False, but the weights take 0\."):
        onnxlin.compile_model(wide(), path, external_data=False)


def test_a_compiled_model_is_a_model(tmp_path) -> None:
    """It can be linearised in its turn: seeds @ W is linear in the seeds."""
    path = tmp_path / "again.onnx"
    onnxlin.compile_model(wide(), path, external_data=True)
    m = onnxlin.linearize(
        path, {"x": X, "seeds": SEEDS[:1]}, inputs=["seeds"], outputs=["seeds_W"]
    ).verify()
    want = Reference.at(wide(), X)
    assert (np.abs(m.W - want.W.T) <= want.slack.T).all()


def test_every_weight_is_stored_once() -> None:
    """A product, its transpose, a convolution and its adjoint all read one array."""
    rng = np.random.default_rng(0)
    arrays = {
        "K": rng.standard_normal((16, 8, 3, 3)),
        "S": rng.standard_normal((16, 16, 3, 3)),
        "G": rng.standard_normal((32, 64)),
        "M": rng.standard_normal((32, 32)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "K"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "S"], ["s"], strides=[4, 4]),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("Gemm", ["f", "G"], ["g"], transB=1),
        helper.make_node("MatMul", ["g", "M"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    weight = sum(4 * array.size for array in arrays.values())
    for direction in ("adjoint", "tangent"):
        made = onnxlin.compile_model(proto, direction=direction)
        assert sum(t.ByteSize() for t in made.graph.initializer) < weight + 3000
