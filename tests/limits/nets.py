"""Models that ask for much: long, wide, nested, endless."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
X = np.array([1.0, -2.0], np.float32)
PAIR = [2]


def floats(name: str, shape: list[int] | None = PAIR) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def whole(
    nodes: list[onnx.NodeProto],
    stored: dict[str, object] | None = None,
    inputs: list[onnx.ValueInfoProto] | None = None,
    outputs: list[str] | None = None,
    functions: list[onnx.FunctionProto] | None = None,
) -> onnx.ModelProto:
    """A model of x and of what else is given, with the output y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [floats("x")] if inputs is None else inputs,
        [floats(name, None) for name in outputs or ["y"]],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in (stored or {}).items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("q", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=functions or [], ir_version=9)


def chain(n: int, *op_types: str, named: bool = True) -> onnx.ModelProto:
    """``n`` nodes one behind the other, of these operators in turn."""
    ends = ["x", *(f"t{k}" for k in range(1, n)), "y"]
    kinds = op_types or ("Relu",)
    return whole(
        [
            helper.make_node(kinds[k % len(kinds)], [a], [b], f"n{k}" if named else "")
            for k, (a, b) in enumerate(pairwise(ends))
        ]
    )


def backwards(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, its nodes in reversed order."""
    nodes = list(model.graph.node)[::-1]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return model


def fan(n: int, joined: str = "Sum") -> onnx.ModelProto:
    """One tensor that ``n`` nodes read, and one node that reads all of what they make."""
    nodes = [helper.make_node("Relu", ["x"], [f"a{k}"]) for k in range(n)]
    more = {"axis": 0} if joined == "Concat" else {}
    return whole([*nodes, helper.make_node(joined, [f"a{k}" for k in range(n)], ["y"], **more)])


def constants(n: int) -> onnx.ModelProto:
    """A chain of sums, each with an initialiser of its own."""
    ends = ["x", *(f"t{k}" for k in range(1, n)), "y"]
    nodes = [helper.make_node("Add", [ends[k], f"c{k}"], [ends[k + 1]]) for k in range(n)]
    return whole(nodes, {f"c{k}": np.full(2, 0.5, np.float32) for k in range(n)})


def ends(n: int) -> onnx.ModelProto:
    """As many inputs as outputs, each pair with a node of its own."""
    nodes = [helper.make_node("Relu", [f"x{k}"], [f"y{k}"]) for k in range(n)]
    inputs = [floats(f"x{k}") for k in range(n)]
    return whole(nodes, inputs=inputs, outputs=[f"y{k}" for k in range(n)])


def calls(depth: int, twice: bool, endless: bool = False) -> onnx.ModelProto:
    """Functions that call the one before them, once or twice."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("q", 1)]

    def body(k: int) -> list[onnx.NodeProto]:
        if k == 0 and not endless:
            return [helper.make_node("Relu", ["a"], ["b"])]
        before = f"F{(k - 1) % depth}"
        first = helper.make_node(before, ["a"], ["m"], domain="q")
        last = helper.make_node(before if twice else "Relu", ["m"], ["b"])
        last.domain = "q" if twice else ""
        return [first, last]

    functions = [
        helper.make_function("q", f"F{k}", ["a"], ["b"], body(k), imports) for k in range(depth)
    ]
    node = helper.make_node(f"F{depth - 1}", ["x"], ["y"], domain="q")
    return whole([node], functions=functions)


def nested(depth: int, named: bool = False) -> onnx.ModelProto:
    """If inside of If, ``depth`` times, around one Relu."""
    inner = [helper.make_node("Relu", ["x"], ["z0"])]
    for k in range(1, depth + 1):
        branch = helper.make_graph(inner, "b", [], [floats(f"z{k - 1}", None)])
        same = [helper.make_node("Identity", ["x"], ["e"])]
        other = helper.make_graph(same, "e", [], [floats("e", None)])
        name = "same name" if named else ""
        ends = {"then_branch": branch, "else_branch": other}
        inner = [helper.make_node("If", ["c"], [f"z{k}"], name, **ends)]
    return whole([*inner, helper.make_node("Identity", [f"z{depth}"], ["y"])], {"c": True})


def loop(trips: int | None, ends_itself: bool = False, grows: bool = False) -> onnx.ModelProto:
    """A Loop that adds x to itself: so often, or as often as the input "n" says."""
    state = helper.make_tensor_value_info
    goes_on = helper.make_node("Identity", ["c"], ["c2"])
    if ends_itself:
        goes_on = helper.make_node("Less", ["i", "most"], ["c2"])
    step = helper.make_node("Add", ["s", "x"], ["s2"])
    if grows:
        step = helper.make_node("Concat", ["s", "s"], ["s2"], axis=0)
    shape = None if grows else [2]
    body = helper.make_graph(
        [goes_on, step],
        "b",
        [state("i", TensorProto.INT64, []), state("c", TensorProto.BOOL, []), floats("s", shape)],
        [state("c2", TensorProto.BOOL, []), floats("s2", shape)],
    )
    given = [] if trips is not None else [state("n", TensorProto.INT64, [])]
    stored = {"t": True, "most": np.int64(3)} | ({} if trips is None else {"n": np.int64(trips)})
    ends = [
        helper.make_node("Loop", ["n", "t", "x"], ["l"], "l", body=body),
        helper.make_node("ReduceSum", ["l"], ["y"], keepdims=0),
    ]
    return whole(ends, stored, [floats("x"), *given])


def loop_by(what: str) -> onnx.ModelProto:
    """The same Loop, whose trip count is 2^60 or more: computed, or missing."""
    model = loop(2**30)
    nodes = {
        "constants": [helper.make_node("Mul", ["n", "n"], ["n2"])],
        "shape": [
            helper.make_node("Size", ["x"], ["size"]),
            helper.make_node("Mul", ["size", "n"], ["more"]),
            helper.make_node("Mul", ["more", "n"], ["n2"]),
        ],
        "values": [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Cast", ["sum"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Abs", ["whole"], ["positive"]),
            helper.make_node("Mul", ["positive", "n"], ["more"]),
            helper.make_node("Mul", ["more", "n"], ["n2"]),
        ],
        "nothing": [],
    }[what]
    model.graph.node[0].input[0] = "n2" if nodes else ""
    rest = [onnx.NodeProto.FromString(n.SerializeToString()) for n in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    return model


def expanding(entries: int) -> onnx.ModelProto:
    """A tensor of so many entries, added up."""
    nodes = [helper.make_node("Expand", ["x", "shape"], ["e"], "large")]
    nodes.append(helper.make_node("ReduceSum", ["e"], ["y"], keepdims=0))
    return whole(nodes, {"shape": np.array([entries // 2, 2])})


def expanding_by_values(entries: int) -> onnx.ModelProto:
    """The same, where only a run says how many: through a shape that inference does not follow."""
    nodes = [
        helper.make_node("NonZero", ["ones"], ["at"]),
        helper.make_node("ReduceSum", ["at"], ["none"], keepdims=0),
        helper.make_node("Add", ["none", "shape"], ["computed"]),
        helper.make_node("Expand", ["x", "computed"], ["e"], "large"),
        helper.make_node("ReduceSum", ["e"], ["y"], keepdims=0),
    ]
    stored = {"ones": np.ones(1, np.float32), "shape": np.array([entries // 2, 2])}
    return whole(nodes, stored)
