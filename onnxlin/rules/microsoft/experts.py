"""Mixtures of experts as onnxruntime fuses them: ``com.microsoft`` MoE and QMoE."""

from __future__ import annotations

import numpy as np
import onnx

from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.microsoft.fused import MS

RIGHT = "RIGHT"


@drawn("MoE", domain=MS)
def mixture(node: NodeAtX, s: Sketch) -> str:
    """Experts of two layers each, weighed by the router's softmax: the k largest, the others 0.

    ``x : (..., H), router : (T, E), first : (E, F, H), second : (E, H, I) -> (..., H)``. All are
    computed; which are chosen is TopK's pattern.

    Source: onnxruntime, docs/ContribOperators.md, MoE.
    """
    _require_two_layers(node, (6, 7))
    layers = [(s.input(w), s.input(b)) for w, b in ((2, 3), (4, 5))]
    return _mixed(node, s, layers, "")


@drawn("QMoE", domain=MS)
def quantised_mixture(node: NodeAtX, s: Sketch) -> str:
    """The same with weights of 4 or 8 bits, a scale for each row or each block of one.

    Source: onnxruntime, docs/ContribOperators.md, QMoE.
    """
    _require_two_layers(node, (8, 9, 10))
    _require_plain_weights(node)
    layers = [(_dequantised(node, s, w, zero), s.input(w + 2)) for w, zero in ((2, 11), (5, 12))]
    return _mixed(node, s, layers, s.input(14))


def _require_two_layers(node: NodeAtX, third: tuple[int, ...]) -> None:
    if any(node.has(i) for i in third):
        raise node.refuse("its experts have a third layer of their own")
    if node.attr("swiglu_limit_after_activation"):
        raise node.refuse("swiglu_limit_after_activation is set")
    node.ignore("use_sparse_mixer")  # the kernel for the CPU does


def _require_plain_weights(node: NodeAtX) -> None:
    """Refuse what the kernel for the CPU has not, and what rounds the activations."""
    kind = node.attr("quant_type")
    if kind not in (None, "int") or any(node.has(i) for i in range(15, 21)):
        raise node.refuse(f"its weights are of type {kind}, not integers")
    # Of weights of 8 bits in blocks the kernel has no other form.
    blocks = node.attr("block_size") and node.attr("expert_weight_bits") == 8
    if node.attr("accuracy_level") == 4 or blocks:
        raise node.refuse("its kernel for the CPU rounds the input to 8 bits")
    if (node.attr("weights_prepacked") or 0) > 0:
        raise node.refuse("its weights are stored in a layout of one machine's own")


def _mixed(node: NodeAtX, s: Sketch, layers: list[tuple[str, str]], weights: str) -> str:
    """Weigh the experts' answers; ``weights`` are the router's where not its softmax is taken."""
    shape, (tokens, experts) = node.shape(0), node.shape(1)
    x = s.reshape(s.input(0), 1, tokens, shape[-1])
    first, second = (_turned(s, name) for name, _ in layers)
    z = _shifted(s, s("MatMul", x, first), layers[0][1])
    y = _shifted(s, s("MatMul", _activated(node, s, z), second), layers[1][1])
    shares = s.reshape(s.transpose(_shares(node, s, weights), 1, 0), experts, tokens, 1)
    return s.reshape(s.total(s("Mul", y, shares), (0,), keepdims=0), *shape)


def _shares(node: NodeAtX, s: Sketch, weights: str) -> str:
    """Share of each expert in each token, ``(T, E)``: 0 where it is not among the k largest."""
    experts = node.shape(1)[1]
    likely = s("Softmax", s.input(1), axis=-1)
    k = np.array([node.attr("k")], dtype=np.int64)
    largest, at = s.several("TopK", 2, likely, k, axis=-1)
    ends = np.array([0.0, 1.0])
    chosen = s("OneHot", at, np.array([experts]), ends, axis=-1)  # (T, k, E), no float of x
    if weights:
        largest = s.total(s("Mul", chosen, s("Unsqueeze", weights, np.array([1]))), keepdims=0)
    # The kernel of quantised experts takes the softmax of the k largest alone.
    if node.attr("normalize_routing_weights") or (node.op_type == "QMoE" and not weights):
        largest = s("Div", largest, s.total(largest))
    each = s("Mul", chosen, s("Unsqueeze", largest, np.array([-1])))
    return s.total(each, (1,), keepdims=0)


def _activated(node: NodeAtX, s: Sketch, z: str) -> str:
    kind = node.attr("activation_type")
    alpha, beta, limit = (
        node.attr(name) for name in ("activation_alpha", "activation_beta", "swiglu_limit")
    )
    layout = node.attr("swiglu_fusion")
    if kind == "swiglu":
        return _swiglu(node, s, z, layout, (alpha, beta, limit))
    if kind == "gelu":
        return s("Gelu", z, approximate="tanh")
    if kind == "silu":
        return s("Mul", z, s("Sigmoid", z))
    if kind not in ("relu", "identity"):
        raise node.refuse(f"activation_type is {kind!r}")
    return s("Relu", z) if kind == "relu" else z


def _swiglu(
    node: NodeAtX,
    s: Sketch,
    z: str,
    layout: int,
    numbers: tuple[float | None, float | None, float | None],
) -> str:
    """``g sigmoid(alpha g) (u + beta)``, gates and what they open side by side or in halves."""
    (alpha, beta, limit), width = numbers, node.shape(4 if node.op_type == "MoE" else 2)
    inner = width[2] if node.op_type == "MoE" else width[1] // 2
    places = np.arange(2 * inner).reshape((inner, 2) if layout == 1 else (2, inner))
    gates, opened = (places[:, 0], places[:, 1]) if layout == 1 else (places[0], places[1])
    if layout not in (1, 2):
        raise node.refuse("its gates are no part of the first layer (swiglu_fusion is 0)")
    g, u = (s("Gather", z, at, axis=2) for at in (gates, opened))
    if limit is not None:
        g, u = s("Min", g, limit), s("Clip", u, -limit, limit)
    steep = g if alpha in (None, 1) else s("Mul", g, alpha)
    u = s("Add", u, beta) if beta else u
    return s("Mul", s("Mul", g, s("Sigmoid", steep)), u)


def _shifted(s: Sketch, z: str, bias: str) -> str:
    """Add the bias of each expert, if there is one."""
    return s("Add", z, s("Unsqueeze", bias, np.array([1]))) if bias else z


def _turned(s: Sketch, weights: str) -> str:
    return s.transpose(weights, 0, 2, 1)


def _dequantised(node: NodeAtX, s: Sketch, w: int, zero: int) -> str:
    """``(number - zero) * scale``, ``(E, N, K)``; scale and zero for each row, or block of one."""
    own = node.attr(f"fc{1 if w == 2 else 2}_expert_weight_bits")
    bits = own or node.attr("expert_weight_bits")
    if bits not in (4, 8):
        raise node.refuse(f"its weights have {bits} bits")
    experts, rows, packed = node.shape(w)
    width, size = packed * (8 // bits), node.attr("block_size") or 0
    blocks = -(-width // size) if size else 1
    numbers = _unpacked(s, s.input(w), bits, (experts, rows, width))
    level = s.constant(float(1 << (bits - 1)))
    if node.has(zero):
        kept = _unpacked(s, s.input(zero), bits, (experts, rows, -1))
        level = _along(s, kept, blocks, size, width)
    scales = s("Cast", s.reshape(s.input(w + 1), experts, rows, -1), to=_kind(s))
    return s("Mul", s("Sub", numbers, level), _along(s, scales, blocks, size, width))


def _along(s: Sketch, values: str, blocks: int, size: int, width: int) -> str:
    """Lay a number for each block, ``(E, N, blocks)``, along the row."""
    if blocks == 1 and not size:
        return s.crop(values, 2, 0, 1)
    return s("Gather", values, np.arange(width) // size, axis=2)


def _unpacked(s: Sketch, codes: str, bits: int, shape: tuple[int, int, int]) -> str:
    """Numbers of 4 bits, two in a byte with the lower first, or of 8, as floats."""
    if bits == 4:
        ahead = np.array([-1])
        low = s("BitwiseAnd", codes, np.array(15, np.uint8))
        high = s("BitShift", codes, np.array(4, np.uint8), direction=RIGHT)
        codes = s("Concat", *(s("Unsqueeze", half, ahead) for half in (low, high)), axis=-1)
    return s("Cast", s.reshape(codes, *shape), to=_kind(s))


def _kind(s: Sketch) -> int:
    return onnx.helper.np_dtype_to_tensor_dtype(s.dtype)
