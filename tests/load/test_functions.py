"""Functions of another operator set than the model's: read as the runtime does, or converted."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxlin
from onnxlin.testing.laws.subject import Subject

X = np.array([[-1.0, 2.0, 0.5], [0.25, 3.0, -0.5]], np.float32)


def ints(name: str, *values: int) -> onnx.NodeProto:
    value = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
    return helper.make_node("Constant", [], [name], value=value)


def calling(
    nodes: list[onnx.NodeProto], own: int, model: int, *others: onnx.FunctionProto
) -> onnx.ModelProto:
    """A model that calls one function, of operator set ``own``, and nothing else."""
    imports = [helper.make_opsetid("", own), helper.make_opsetid("my.lib", 1)]
    function = helper.make_function("my.lib", "act", ["a"], ["o"], nodes, imports)
    graph = helper.make_graph(
        [helper.make_node("act", ["x"], ["y"], domain="my.lib")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    sets = [helper.make_opsetid("my.lib", 1), *([helper.make_opsetid("", model)] if model else [])]
    functions = [function, *others]
    return helper.make_model(graph, opset_imports=sets, functions=functions, ir_version=8)


def node(op_type: str, *inputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs, ["o"], **attributes)


AS_IT_STANDS = {
    "the same in both": ([node("Relu", "a")], 13, 17),
    "of a later set": ([node("Relu", "a")], 18, 17),
    "of much the same": ([node("Softmax", "a", axis=0)], 12, 13),
    "no set in the model": ([node("Softmax", "a", axis=0)], 13, 0),
}


@pytest.mark.parametrize("name", AS_IT_STANDS)
def test_what_the_runtime_runs_is_what_is_linearised(name: str) -> None:
    proto = calling(*AS_IT_STANDS[name])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    except Exception:  # some onnxruntimes want the set in the model
        want = None
    else:
        (want,) = session.run(None, {"x": X})
    for engine in ("reverse", "compiled"):
        m = onnxlin.linearize(proto, X, engine=engine).verify()
        if want is not None:
            np.testing.assert_allclose(m.y, want.ravel(), rtol=1e-6)


CONVERTED = {
    "axes were an attribute": ([node("ReduceMean", "a", axes=[1])], 13, 18, X.mean(axis=1)),
    "axes became an input": (
        [ints("axes", 1), node("ReduceMean", "a", "axes")], 18, 17, X.mean(axis=1)),
    "bounds were attributes": ([node("Clip", "a", min=0.0, max=1.0)], 6, 17, X.clip(0, 1)),
    "another axis": ([node("Unsqueeze", "a", axes=[0])], 11, 17, X),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERTED)
def test_what_the_runtime_refuses_is_converted(name: str) -> None:
    *made, want = CONVERTED[name]
    m = onnxlin.linearize(calling(*made), X).verify()
    np.testing.assert_allclose(m.y, want.ravel(), rtol=1e-6)


def test_what_cannot_be_converted_is_named() -> None:
    words = r"cannot be opened: .* It imports operator set 17; .* are: my.lib.act \(operator set 20"
    with pytest.raises(onnxlin.ModelError, match=words):
        onnxlin.check_model(calling([node("Gelu", "a")], 20, 17))


def test_functions_within_functions() -> None:
    imports = [helper.make_opsetid("", 13)]
    inner = helper.make_function("my.lib", "inner", ["a"], ["o"], [node("Relu", "a")], imports)
    call = helper.make_node("inner", ["a"], ["o"], domain="my.lib")
    m = onnxlin.linearize(calling([call], 18, 17, inner), X).verify()
    np.testing.assert_array_equal(np.diag(m.W), (X > 0).ravel())


def test_a_model_with_functions_may_be_cut_open_inside() -> None:
    """Laws move x there, in what the functions hold."""
    proto = calling([node("Relu", "a")], 13, 17)
    proto.graph.node.add(op_type="Mul", input=["y", "y"], output=["z"])
    proto.graph.output[0].name = "z"
    subject = Subject(proto, inputs="y")
    feeds = subject.feeds(X)
    lin, at = subject.movable(feeds)
    assert lin(at).verify().inputs.keys() == {"y"}
