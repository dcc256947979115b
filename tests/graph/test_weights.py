"""Large weights lie beside models, never inside of what is copied or handed to the runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxlin
from onnxlin.engines.compiled import Runner, compile_section
from onnxlin.engines.compiled import session as runner
from onnxlin.graph import weights
from onnxlin.load import load
from onnxlin.section import make_section

N = 150
X = np.random.default_rng(0).standard_normal((1, N)).astype(np.float32)
SHAPE = {"x": (1, N)}


def wide(**more: np.ndarray) -> onnx.ModelProto:
    """Two products by large weights, one of them read inside a subgraph only."""
    rng = np.random.default_rng(1)
    arrays = {name: rng.standard_normal((N, N)).astype(np.float32) for name in "AB"} | more
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["h", "B"], ["p"])],
        "inner",
        [],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["h"]),
        helper.make_node("If", ["yes"], ["g"], then_branch=inner, else_branch=inner),
        helper.make_node("Relu", ["g"], ["y"]),
    ]
    arrays["yes"] = np.array(True)
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, N])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_light_and_filled_are_inverses() -> None:
    """But for how a file may write the same numbers."""
    proto = wide(unread=np.zeros((N, N)), words=np.array(["a"] * 9000, object))
    light, arrays = weights.lightened(proto)
    assert set(arrays) == {"A", "B", "unread"}
    assert light.ByteSize() < proto.ByteSize() - sum(a.nbytes for a in arrays.values()) + 1000
    assert weights.filled(light, arrays) == proto
    assert not any(array.flags.writeable for array in arrays.values())


def test_a_graph_holds_no_large_weight_twice() -> None:
    graph = load(wide())
    assert graph.model.ByteSize() < 2000
    assert {"A", "B"} <= set(graph.initialisers)


def test_weights_that_nobody_reads_and_weights_read_inside() -> None:
    lin = onnxlin.Linearizer(wide(unread=np.zeros((N, N), np.float32)))
    for engine in ("reverse", "compiled"):
        lin(X, engine=engine).verify()
    onnxlin.linearize(wide(), X, outputs=["h"]).verify()  # B is not read then


def test_narrow_and_wide_types_stay_what_they_are() -> None:
    kinds = [np.float64, np.float16, np.int64, np.int8, np.bool_]
    arrays = {f"w{i}": np.ones((N, 4 * N), kind) for i, kind in enumerate(kinds)}
    initialisers = [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()]
    half = onnx.numpy_helper.from_array(np.ones((N, 4 * N), np.float32), "half")
    half.CopyFrom(helper.make_tensor("half", TensorProto.BFLOAT16, [N, 4 * N], np.ones(4 * N * N)))
    graph = helper.make_graph([], "g", [], [], [*initialisers, half])
    light, kept = weights.lightened(helper.make_model(graph))
    assert {name: array.dtype for name, array in kept.items()} == {
        name: array.dtype for name, array in arrays.items()
    }
    assert [t.name for t in light.graph.initializer if not weights.is_beside(t)] == ["half"]


def test_a_weight_in_a_file_that_was_not_read(tmp_path) -> None:
    path = str(tmp_path / "m.onnx")
    onnx.save(wide(), path, save_as_external_data=True, location="m.data", size_threshold=0)
    without = onnx.load(path, load_external_data=False)
    with pytest.raises(onnxlin.ModelError, match=r"weight 'A' lies in a file.*onnx\.load\(path\)"):
        onnxlin.linearize(without, X)
    onnxlin.linearize(path, X).verify()


def test_options_of_the_callers_serve_any_number_of_sessions(monkeypatch) -> None:
    """Nothing is added to them, but where the model is too large to be opened otherwise."""
    section = make_section(load(wide()), None, None)
    compiled = compile_section(section, "tangent", {"x": X})
    options = onnxruntime.SessionOptions()
    for _ in range(2):
        Runner(compiled, options)
    monkeypatch.setattr(runner, "MOST_INSIDE", 1000)
    assert compiled.weight == 2 * N * N * 4
    Runner(compiled, options)
