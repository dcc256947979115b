"""Operators, and what exporters and converters write in their place.

Each is a function of ``z = x A``: a line of nodes that ends in y. Adding a line is adding a test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from tests.small import model

N, WIDTH = 3, 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, WIDTH)).astype(np.float32)

_NUMBERS = """
half=0.5 one=1 two=2 three=3 six=6 none=0 ahalf=-0.5 sixth=0.16666667 root=1.41421356
inverse=0.70710678 cubic=0.044715 top=0.79788456 twice=1.59576912 quick=1.702 eps=1e-5
"""
_PAIRS = [pair.split("=") for pair in _NUMBERS.split()]
_SCALARS = ", ".join(f"float {name} = {{{value}}}" for name, value in _PAIRS)


def _array(name: str, *shape: int) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name)


_WEIGHTS = [_array(name, WIDTH, WIDTH) for name in "ABC"]
_WEIGHTS += [_array(name, WIDTH) for name in ("scale", "shift")]

# int64 constants: the last axis, and a first one.
_AXES = "int64[1] last = {-1}, int64[1] rows = {0}"


def graph(nodes: str, opset: int = 18, outputs: str = "float[3,6] y") -> onnx.ModelProto:
    """Nodes behind ``z = x A`` and ``u = x B``."""
    text = (
        f"g (float[{N},{WIDTH}] x) => ({outputs}) <{_SCALARS}, {_AXES}> "
        f"{{ z = MatMul(x, A) u = MatMul(x, B) {nodes} }}"
    )
    proto = model(text, opset)
    proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    proto.graph.initializer.extend(_WEIGHTS)
    return proto


@dataclass(frozen=True)
class Spelling:
    """An operator, its name in notes, and a spelling."""

    name: str
    operator: str
    nodes: str
    opset: int = 18


_ERF = "e = Erf(q) g = Add(e, one)"
_TANH = "k = Mul(top, i) t = Tanh(k) g = Add(t, one)"
_CUBE = "c = Pow(z, three) s = Mul(cubic, c) i = Add(z, s)"
_SPREAD = "v = ReduceMean(d2, last) ve = Add(v, eps) s = Sqrt(ve)"
_CENTRED = "m = ReduceMean(z, last) d = Sub(z, m)"
_SHIFTED = "n1 = Mul(n, scale) y = Add(n1, shift)"
_LESS = "m = ReduceMax(z, last) d = Sub(z, m)"

GELU, TANH_GELU = "y = Gelu(z)", 'y = Gelu<approximate = "tanh">(z)'
LAYER_NORM = "y = LayerNormalization<axis = -1, epsilon = 1e-5>(z, scale, shift)"

SPELT = {
    # torch.onnx of opsets below 20, with and without its optimiser; the second is Hugging Face's
    # and tf2onnx's, the fourth what tf2onnx makes of tf.math.erfc.
    "Gelu": (GELU, 20, [
        f"q = Div(z, root) {_ERF} p = Mul(z, g) y = Mul(p, half)",
        f"q = Mul(z, inverse) {_ERF} h = Mul(half, g) y = Mul(z, h)",
        f"q = Mul(z, inverse) {_ERF} h = Mul(z, half) y = Mul(h, g)",
        "n = Neg(z) q = Mul(n, inverse) e = Erf(q) g = Sub(one, e) h = Mul(half, z) y = Mul(g, h)",
        f"r = Sqrt(two) q = Div(z, r) {_ERF} p = Mul(g, z) y = Mul(half, p)",
        "q = Div(z, root) e = Erf(q) h = Mul(e, half) g = Add(half, h) y = Mul(z, g)",
        f"w = Cast<to = 1>(z) q = Div(w, root) {_ERF} o = Cast<to = 1>(g) p = Mul(z, o) "
        "y = Mul(p, half)",
    ]),
    "Gelu (tanh)": (TANH_GELU, 20, [
        f"{_CUBE} {_TANH} h = Mul(half, z) y = Mul(h, g)",
        f"z2 = Mul(z, z) c = Mul(z2, z) s = Mul(c, cubic) i = Add(z, s) {_TANH} p = Mul(z, g) "
        "y = Mul(p, half)",
        f"z2 = Mul(z, z) s = Mul(cubic, z2) f = Add(one, s) i = Mul(z, f) {_TANH} "
        "h = Mul(half, g) y = Mul(h, z)",
        f"{_CUBE} k = Mul(twice, i) g = Sigmoid(k) y = Mul(z, g)",
    ]),
    "HardSwish": ("y = HardSwish(z)", 18, [
        "g = HardSigmoid<alpha = 0.16666667, beta = 0.5>(z) y = Mul(z, g)",
        "p = Add(z, three) g = Clip(p, none, six) w = Mul(z, g) y = Div(w, six)",
        "p = Add(z, three) g = Clip(p, none, six) w = Div(g, six) y = Mul(w, z)",
        "p = Add(z, three) r = Relu(p) g = Min(r, six) w = Mul(g, sixth) y = Mul(z, w)",
    ]),
    "Mish": ("y = Mish(z)", 18, [
        "s = Softplus(z) t = Tanh(s) y = Mul(z, t)",
        "e = Exp(z) p = Add(e, one) s = Log(p) t = Tanh(s) y = Mul(t, z)",
    ]),
    "Swish": ("y = com.microsoft.QuickGelu<alpha = 1.0>(z)", 18, [
        "s = Sigmoid(z) y = Mul(z, s)",
        "n = Neg(z) e = Exp(n) p = Add(e, one) y = Div(z, p)",
        "n = Neg(z) e = Exp(n) p = Add(e, one) g = Reciprocal(p) y = Mul(g, z)",
        "h = Mul(half, z) t = Tanh(h) g = Add(t, one) p = Mul(z, g) y = Mul(p, half)",
    ]),
    "Swish (alpha=1.702)": ("y = com.microsoft.QuickGelu<alpha = 1.702>(z)", 18, [
        "q = Mul(quick, z) g = Sigmoid(q) y = Mul(z, g)",
    ]),
    "Softmax": ("y = Softmax<axis = -1>(z)", 18, [
        f"{_LESS} e = Exp(d) s = ReduceSum(e, last) y = Div(e, s)",
        "e = Exp(z) s = ReduceSum(e, last) r = Reciprocal(s) y = Mul(e, r)",
    ]),
    "LogSoftmax": ("y = LogSoftmax<axis = -1>(z)", 18, [
        f"{_LESS} e = Exp(d) s = ReduceSum(e, last) l = Log(s) y = Sub(d, l)",
        "l = ReduceLogSumExp(z, last) y = Sub(z, l)",
    ]),
    # The last is how tf.nn.batch_normalization writes it.
    "LayerNormalization": (LAYER_NORM, 18, [
        f"{_CENTRED} d2 = Pow(d, two) {_SPREAD} n = Div(d, s) {_SHIFTED}",
        f"{_CENTRED} d2 = Mul(d, d) {_SPREAD} r = Reciprocal(s) n = Mul(d, r) {_SHIFTED}",
        f"{_CENTRED} d2 = Mul(d, d) {_SPREAD} r = Div(one, s) n = Mul(r, d) {_SHIFTED}",
        f"{_CENTRED} d2 = Mul(d, d) {_SPREAD} r = Pow(ve, ahalf) n = Mul(d, r) {_SHIFTED}",
        f"{_CENTRED} w = Cast<to = 1>(d) d2 = Pow(w, two) {_SPREAD} n = Div(d, s) {_SHIFTED}",
    ]),
    "": (LAYER_NORM, 18, [
        f"{_CENTRED} d2 = Mul(d, d) {_SPREAD} r = Reciprocal(s) k = Mul(r, scale) a = Mul(z, k) "
        "mk = Mul(m, k) b = Sub(shift, mk) y = Add(a, b)",
    ]),
    "RMSNormalization": ("y = RMSNormalization<axis = -1, epsilon = 1e-5>(z, scale)", 23, [
        f"d2 = Pow(z, two) {_SPREAD} r = Reciprocal(s) n = Mul(z, r) y = Mul(n, scale)",
        f"d2 = Mul(z, z) {_SPREAD} n = Div(z, s) y = Mul(scale, n)",
        "d2 = ReduceSumSquare(z, last) v = Div(d2, six) ve = Add(v, eps) s = Sqrt(ve) "
        "r = Div(one, s) n = Mul(z, r) y = Mul(scale, n)",
    ]),
    "LpNormalization": ("y = LpNormalization<axis = -1, p = 2>(z)", 18, [
        "s = ReduceL2(z, last) y = Div(z, s)",
        "d2 = Mul(z, z) v = ReduceSum(d2, last) s = Sqrt(v) y = Div(z, s)",
    ]),
}  # fmt: skip

SPELLINGS = [
    Spelling(name, operator, nodes, opset)
    for name, (operator, opset, spellings) in SPELT.items()
    for nodes in spellings
]
