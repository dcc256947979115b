"""Models with one fault each, and what the error must say: of which node or tensor, and what."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

F = TensorProto.FLOAT
X = np.array([0.5, -1.0], np.float32)


def info(name: str, shape: Iterable[int] | None = (2,), kind: int = F) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list[onnx.NodeProto],
    weights: Iterable[onnx.TensorProto] = (),
    *,
    inputs: Iterable[onnx.ValueInfoProto] = (),
    functions: Iterable[onnx.FunctionProto] = (),
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of x (2,) and y; operator set 1 of "q" is there for functions."""
    given = list(inputs) or [info("x")]
    graph = helper.make_graph(nodes, "g", given, [info("y", None)], list(weights))
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("q", 1)]
    return helper.make_model(graph, opset_imports=sets, functions=list(functions), ir_version=9)


def node(op_type: str, *inputs: str, **more: object) -> onnx.NodeProto:
    return helper.make_node(op_type, list(inputs), ["y"], name="culprit", **more)


def relu(**attribute: object) -> onnx.ModelProto:
    """A Relu with an attribute that is written field by field."""
    made = node("Relu", "x")
    if attribute:
        made.attribute.append(AttributeProto(name="odd", **attribute))
    return model([made])


def times(**fields: object) -> onnx.ModelProto:
    """The product with a weight that is written field by field."""
    return model([node("Mul", "x", "bad")], [TensorProto(name="bad", **fields)])


def constant(**fields: object) -> onnx.ModelProto:
    """The same with the weight in a Constant."""
    made = helper.make_node("Constant", [], ["w"], "culprit")
    made.attribute.append(
        AttributeProto(name="value", type=AttributeProto.TENSOR, t=TensorProto(**fields))
    )
    return model([made, helper.make_node("Mul", ["x", "w"], ["y"])])


def sparse(indices: object, dims: Iterable[int], kind: type = np.int64) -> onnx.ModelProto:
    made = model([node("Mul", "x", "bad")])
    weight = made.graph.sparse_initializer.add(dims=dims)
    weight.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "bad"))
    weight.indices.CopyFrom(numpy_helper.from_array(np.array(indices, kind), ""))
    return made


def branching(inner: onnx.NodeProto, *more: onnx.TensorProto) -> onnx.ModelProto:
    """An If whose branches hold a node."""
    graph = helper.make_graph([inner], "inner", [], [info("y", None)], list(more))
    yes = numpy_helper.from_array(np.array(True), "yes")
    made = helper.make_node("If", ["yes"], ["y"], "branches", then_branch=graph, else_branch=graph)
    return model([made], [yes])


def calling(*calls: tuple[str, str]) -> onnx.ModelProto:
    """Functions of "q", each of which calls another one; x goes into the first."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("q", 1)]
    functions = [
        helper.make_function(
            "q", name, ["a"], ["b"], [helper.make_node(called, ["a"], ["b"], domain="q")], imports
        )
        for name, called in calls
    ]
    first = helper.make_node(calls[0][0], ["x"], ["y"], "culprit", domain="q")
    return model([first], functions=functions)


def replaced(old: bytes, new: bytes) -> bytes:
    """A model whose names are not the text that they were."""
    return model([node("Relu", "x")]).SerializeToString().replace(old, new)


def emptied() -> onnx.ModelProto:
    made = relu()
    made.opset_import[0].version = 0
    return made


def twice(what: str) -> onnx.ModelProto:
    made = model([node("Mul", "x", "w")], [numpy_helper.from_array(X, "w")])
    if what == "made":
        made.graph.node.append(helper.make_node("Relu", ["x"], ["y"], "culprit"))
    elif what == "input":
        made.graph.input.append(info("x"))
    elif what == "weight":
        made.graph.initializer.append(numpy_helper.from_array(X, "w"))
    else:
        made.graph.node.insert(0, helper.make_node("Relu", ["x"], ["w"], "culprit"))
    return made


OLD = {"opset": 7}
MODELS: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    # Weights
    "too many bytes": (lambda: times(data_type=1, dims=[2], raw_data=bytes(12)), "'bad'"),
    "too few bytes": (lambda: times(data_type=1, dims=[2], raw_data=bytes(3)), "'bad'"),
    "too few numbers": (lambda: times(data_type=1, dims=[2], float_data=[1.0]), "'bad'"),
    "huge dims": (lambda: times(data_type=1, dims=[2**62, 4], raw_data=bytes(8)), "'bad'"),
    "dims below 0": (lambda: times(data_type=1, dims=[-2], raw_data=bytes(8)), r"'bad'.*-2"),
    "no type": (lambda: times(data_type=0, dims=[2], raw_data=bytes(8)), "'bad'.*element type 0"),
    "no such type": (lambda: times(data_type=99, dims=[2], raw_data=bytes(8)), "'bad'.*type 99"),
    "a weight without a name": (lambda: model([node("Relu", "x")], [TensorProto(data_type=1)]),
                                "A weight .* has no name"),
    "a sparse index outside": (lambda: sparse([5], [2]), "'bad'.*outside"),
    "a sparse index below 0": (lambda: sparse([-1], [2]), "'bad'.*outside"),
    "a sparse index for each axis": (lambda: sparse([[0, 7]], [2, 2]), "'bad'"),
    "sparse indices of floats": (lambda: sparse([0.5], [2], np.float32), "'bad'.*int64"),
    "a sparse weight of terabytes": (lambda: sparse([0], [2**40]), r"'bad'.*limits\.raised"),
    "a sparse weight of dims below 0": (lambda: sparse([0], [-2]), "'bad'"),
    "a constant too short": (lambda: constant(data_type=1, dims=[2], raw_data=b"4"), "'culprit'"),
    "a constant without type": (lambda: constant(dims=[2], raw_data=bytes(8)), "'culprit'.*type 0"),
    "in a branch": (lambda: branching(node("Mul", "x", "bad"),
                                      TensorProto(name="bad", data_type=99)), "'bad'.*'branches'"),
    "too short in a branch": (
        lambda: branching(
            node("Mul", "x", "bad"), TensorProto(name="bad", data_type=1, dims=[2], raw_data=b"1")
        ),
        "'bad'.*'branches'",
    ),
    # Operator sets
    "no such operator set": (lambda: model([node("Relu", "x")], opset=2**62), f"set {2**62}"),
    "operator set 0": (emptied, "operator set 0"),
    # Attributes
    "a reference": (lambda: relu(type=1, ref_attr_name="z"), "'odd'.*'culprit'.*'z'"),
    "an attribute without type": (lambda: relu(i=1), "'odd'.*'culprit'.*type 0"),
    "another type": (lambda: relu(type=AttributeProto.INTS, f=1.0), "'odd'.*INTS.*holds 'f'"),
    "of the wrong type": (lambda: model([node("Softmax", "x", axis="one")]),
                          "'culprit'.*'axis' as STRING, and it is INT"),
    "missing": (lambda: model([node("Cast", "x")]), "'culprit'.*lacks the attribute 'to'"),
    "missing in a branch": (lambda: branching(node("Cast", "x")), "'culprit'.*lacks"),
    # Nodes
    "no inputs": (lambda: model([node("Mul", "x")]), "'culprit'.*has 1 inputs, but takes 2"),
    "a blank input": (lambda: model([node("Mul", "x", "")]), "'culprit'.*leaves out its input 1"),
    "Upsample without scales": (lambda: model([node("Upsample", "x")], **OLD), "'culprit'.*scales"),
    "scales of text": (lambda: model([node("Upsample", "x", scales="two")], **OLD), "'culprit'"),
    "an axis out of range": (lambda: model([node("Tile", "x", "n", "a")], [
        numpy_helper.from_array(np.array(n, np.float32), name) for n, name in ((2, "n"), (7, "a"))
    ], opset=1), "'culprit'"),
    "a tensor that nobody makes": (lambda: model([node("Add", "x", "lost")]), "'culprit'.*'lost'"),
    "the same in a branch": (lambda: branching(node("Add", "x", "lost")), "'culprit'.*'lost'"),
    "an output that nobody makes": (lambda: model([helper.make_node("Relu", ["x"], ["z"])]), "'y'"),
    "no nodes": (lambda: model([]), "'y'"),
    "made twice": (lambda: twice("made"), "'culprit'.*'y'"),
    "a weight made again": (lambda: twice("again"), "'culprit'.*'w'"),
    "an input twice": (lambda: twice("input"), "'x'"),
    "a weight twice": (lambda: twice("weight"), "'w'"),
    "an input of no such type": (lambda: model([node("Relu", "x")], inputs=[info("x", None, 77)]),
                                 "'x'.*type 77"),
    "a cycle": (lambda: model([helper.make_node("Add", ["x", "y"], ["z"], "culprit"),
                               helper.make_node("Relu", ["z"], ["y"])]), "'culprit'"),
    # Functions
    "functions in a circle": (lambda: calling(("A", "B"), ("B", "A")), "q::A|q.A"),
    "a function of itself": (lambda: calling(("A", "A")), "q::A|q.A"),
    # Names that are no text
    "a node's name": (lambda: replaced(b"culprit", b"\xff\xfeulpr\xfd"), r"\\xff\\xfe"),
    "an operator's name": (lambda: replaced(b"Relu", b"\xff\xfe\xfd\xfc"), r"\\xff"),
    # No models at all
    "no protobuf": (lambda: b"\xff\xff\xff", "not a readable ONNX model"),
    "nothing": (lambda: b"", "no outputs"),
}  # fmt: skip
"""Name of the fault -> a maker, and what the error says."""
