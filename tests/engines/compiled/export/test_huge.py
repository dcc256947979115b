"""A model above protobuf's 2 GiB, from file to file: needs 12 GB of memory, so only on demand."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxlin
from tests.engines.compiled.exported import run, session

N = int(os.environ.get("ONNXLIN_HUGE") or 0)
pytestmark = pytest.mark.skipif(not N, reason="ONNXLIN_HUGE gives no side of a matrix: 23500")


def write(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Write ``y = relu(x W)`` with W in a file beside; return two columns of W and all of x."""
    rng = np.random.default_rng(0)
    weight = rng.random((N, N), dtype=np.float32) - np.float32(0.5)
    weight.tofile(f"{path}.weight")
    tensor = onnx.TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[N, N])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=os.path.basename(f"{path}.weight"))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, N]) for n in "xy"]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["h"]),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "huge", ends[:1], ends[1:], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    with open(path, "wb") as stream:
        stream.write(model.SerializeToString())
    return weight[:, [0, N - 1]].copy(), rng.random((1, N), dtype=np.float32)


def test_from_file_to_file(tmp_path) -> None:
    source, out = str(tmp_path / "huge.onnx"), str(tmp_path / "out.onnx")
    columns, x = write(source)
    assert os.path.getsize(f"{source}.weight") > 2**31
    lin = onnxlin.Linearizer(source)
    for engine in ("reverse", "compiled"):
        m = lin(x, rows=[0, N - 1], engine=engine)
        np.testing.assert_array_equal(m.W, columns.T * (m.y > 0)[:, None])
    del lin, m
    made = onnxlin.compile_model(source, out)
    assert os.path.getsize(f"{out}.data") < 1.01 * os.path.getsize(f"{source}.weight")
    del made
    onnx.checker.check_model(out, full_check=True)
    seeds = np.zeros((2, N), np.float32)
    seeds[[0, 1], [0, N - 1]] = 1
    answer = run(session(out), {"x": x, "seeds": seeds})
    alive = answer["y"][0, [0, N - 1]] > 0
    np.testing.assert_array_equal(answer["seeds_W"], columns.T * alive[:, None])
