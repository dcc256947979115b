"""Branches and loops, whose subgraphs read tensors around them."""

from __future__ import annotations

import numpy as np
import onnx

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker

FLOAT, BOOL, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL, onnx.TensorProto.INT64
node, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info


@maker("If")
def branch(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick())
    tag = len(g.nodes)
    condition = g.constant(np.asarray(g.flag()))
    if g.flag():
        total = g.add("ReduceSum", [x], keepdims=0)
        (condition,) = g.add_all("Greater", [total, g.floats(0.125)])
    factor = g.floats(1.5)
    branches = {}
    for name, op, reads in (("then_branch", "Mul", [x, factor]), ("else_branch", "Tanh", [x])):
        out = f"{name}{tag}"
        made = [info(out, FLOAT, g.shape(x))]
        branches[name] = onnx.helper.make_graph([node(op, reads, [out])], name, [], made)
    g.add(op_type, [condition], outer=[x, factor], **branches)


@maker("Loop")
def loop(g: Grow, op_type: str) -> None:
    """One that carries a tensor, from no trip to three, and may hand on what it was at each."""
    scans = g.flag()
    x = g.tame(g.pick())
    tag, shape, half = len(g.nodes), g.shape(x), g.floats(0.5)
    make = [
        node("Mul", [f"v{tag}", half], [f"h{tag}"]),
        node("Add", [f"h{tag}", x], [f"s{tag}"]),
        node(g.choice("Relu", "Sigmoid"), [f"s{tag}"], [f"w{tag}"]),
        node("Identity", [f"go{tag}"], [f"on{tag}"]),
        *([node("Identity", [f"w{tag}"], [f"y{tag}"])] if scans else []),
    ]
    given = [info(f"i{tag}", INT64, []), info(f"go{tag}", BOOL, []), info(f"v{tag}", FLOAT, shape)]
    made = [
        info(f"on{tag}", BOOL, []),
        info(f"w{tag}", FLOAT, shape),
        *([info(f"y{tag}", FLOAT, shape)] if scans else []),
    ]
    body = onnx.helper.make_graph(make, "body", given, made)
    inputs = [g.ints(g.integer(0, 3)), g.constant(np.asarray(True)), x]
    g.add(op_type, inputs, 1 + scans, body=body, outer=[half, x])


@maker("Scan")
def scan(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick(1, 3, lambda shape: 0 < shape[0] <= 4 and 0 not in shape))
    tag, shape, half = len(g.nodes), g.shape(x)[1:], g.floats(0.5)
    make = [
        node("Mul", [f"v{tag}", half], [f"h{tag}"]),
        node("Add", [f"h{tag}", f"r{tag}"], [f"w{tag}"]),
        node(g.choice("Relu", "Tanh"), [f"w{tag}"], [f"y{tag}"]),
    ]
    given = [info(f"v{tag}", FLOAT, shape), info(f"r{tag}", FLOAT, shape)]
    made = [info(f"w{tag}", FLOAT, shape), info(f"y{tag}", FLOAT, shape)]
    body = onnx.helper.make_graph(make, "body", given, made)
    directions = g.some(scan_input_directions=[1], scan_output_directions=[1])
    start = g.weight(*shape)
    g.add(op_type, [start, x], 2, num_scan_inputs=1, body=body, outer=[half], **directions)
