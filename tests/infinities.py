"""Infinities and NaN planted into a model where its outputs cannot see them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser

# Each makes a tensor `d` of the type and shape of `t` that is infinite, or no number, throughout.
INFINITE = {
    "1 / 0": "z = Sub(t, t)  d = Div(one, z)",
    "reciprocal of a closed unit": (
        "m = Abs(t)  k = Add(m, one)  n = Neg(k)  z = Relu(n)  d = Reciprocal(z)"
    ),
    "exp that overflows": "m = Abs(t)  n = Add(m, one)  k = Mul(n, big)  d = Exp(k)",
    "log of 0": "z = Sub(t, t)  l = Log(z)  d = Neg(l)",
    "power of 0": "z = Mul(t, zero)  w = Abs(z)  d = Pow(w, minus)",
    "x times infinity": "m = Abs(t)  n = Add(m, one)  d = Mul(n, infinity)",
    "x plus infinity": "d = Add(t, infinity)",
}
NO_NUMBER = {
    "0 / 0": "z = Sub(t, t)  d = Div(z, z)",
    "root of a negative": "m = Abs(t)  n = Add(m, one)  k = Neg(n)  d = Sqrt(k)",
    "log of a negative": "m = Abs(t)  n = Add(m, one)  k = Neg(n)  d = Log(k)",
    "arcsine of 2": "m = Abs(t)  n = Add(m, one)  k = Add(n, one)  d = Asin(k)",
    "infinity minus infinity": "m = Add(t, infinity)  d = Sub(m, m)",
}
# Each makes `u` of `t` and `d`, equal to `t` and of the same slope whatever d is.
GUARDS = {
    "not taken": "a = Abs(t)  c = Less(a, huge)  u = Where(c, t, d)",
    "added where not taken": "a = Abs(t)  c = Less(a, huge)  e = Where(c, zero, d)  u = Add(t, e)",
    "told by IsInf and IsNaN": "a = IsInf(d)  b = IsNaN(d)  c = Or(a, b)  u = Where(c, t, d)",
    "not taken after a ReLU": "r = Relu(d)  a = Abs(t)  c = Less(a, huge)  u = Where(c, t, r)",
    "not taken after a product": (
        "p = Mul(d, t)  q = Add(p, d)  a = Abs(t)  c = Less(a, huge)  u = Where(c, t, q)"
    ),
    "not taken after a gate": (
        "s = Sigmoid(d)  p = Mul(d, s)  a = Abs(t)  c = Less(a, huge)  u = Where(c, t, p)"
    ),
}
# The same, of a d that is +infinity.
LIMITS = {
    "Min": "u = Min(t, d)",
    "Max": "n = Neg(d)  u = Max(t, n)",
    "Clip": "k = Clip(d, zero, one)  e = Sub(k, one)  u = Add(t, e)",
    "Tanh": "k = Tanh(d)  e = Sub(k, one)  u = Add(t, e)",
    "Erf": "k = Erf(d)  e = Sub(k, one)  u = Add(t, e)",
    "Sigmoid": "k = Sigmoid(d)  e = Sub(k, one)  u = Add(t, e)",
    "Sigmoid below": "n = Neg(d)  e = Sigmoid(n)  u = Add(t, e)",
    "Exp below": "n = Neg(d)  e = Exp(n)  u = Add(t, e)",
    "Softplus below": "n = Neg(d)  e = Softplus(n)  u = Add(t, e)",
    "Elu below": "n = Neg(d)  k = Elu(n)  e = Add(k, one)  u = Add(t, e)",
    "Celu below": "n = Neg(d)  k = Celu(n)  e = Add(k, one)  u = Add(t, e)",
    "HardSigmoid": "k = HardSigmoid(d)  e = Sub(k, one)  u = Add(t, e)",
    "ReLU below": "n = Neg(d)  e = Relu(n)  u = Add(t, e)",
    "Atan": "k = Atan(d)  j = Neg(d)  l = Atan(j)  e = Add(k, l)  u = Add(t, e)",
    "Reciprocal": "e = Reciprocal(d)  u = Add(t, e)",
    "divisor": "e = Div(one, d)  u = Add(t, e)",
    "x over it": "e = Div(t, d)  u = Add(t, e)",
    "decomposed Sigmoid": "q = Add(one, d)  e = Div(one, q)  u = Add(t, e)",
}


NUMBERS = {
    "zero": 0.0,
    "one": 1.0,
    "minus": -1.0,
    "big": 1e4,
    "huge": 1e30,
    "infinity": np.inf,
}


def plant(proto: onnx.ModelProto, tensor: str, bad: str, guard: str) -> onnx.ModelProto:
    """Put a guarded infinity behind a float32 tensor: nodes that read it read what equals it.

    Parameters
    ----------
    tensor : str
        An input of the graph, or what a node makes.
    bad, guard : str
        Text of the nodes, of the tables above.
    """
    planted = onnx.ModelProto()
    planted.CopyFrom(proto)
    graph = planted.graph
    pieces, own = [], {"t": tensor} | {name: f"planted {name}" for name in NUMBERS}
    for text in (bad, guard):
        found = onnx.parser.parse_graph(f"g (float t) => (float t) {{ {text} }}").node
        own |= {name: f"planted {name}{len(pieces)}" for node in found for name in node.output}
        for node in found:
            node.input[:] = [own[name] for name in node.input]
            node.output[:] = [own[name] for name in node.output]
            pieces.append(node)
    at = next((i + 1 for i, node in enumerate(graph.node) if tensor in node.output), 0)
    nodes = list(graph.node)
    for node in nodes[at:]:
        node.input[:] = [own["u"] if name == tensor else name for name in node.input]
    nodes[at:at] = pieces
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.float32(value), own[name])
        for name, value in NUMBERS.items()
    )
    return planted
