"""Operators of ``com.microsoft`` that onnxruntime's optimiser fuses from standard ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from onnxlin.primitives import Array, MatMul, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.products.matmul import product
from onnxlin.rules.reductions.softmax import tangent
from onnxlin.rules.registry import rule
from onnxlin.rules.smooth import Point, touch

MS = "com.microsoft"

# Attributes of the activations, in the order in which fused operators store them.
_PARAMETERS = {
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Elu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
}


def activated(s: Sketch, z: str, name: str | None, numbers: list[float]) -> str:
    """Apply the activation that a fused operator names; None leaves z as it is."""
    if not name:
        return z
    if name == "Clip":
        return s("Clip", z, *numbers)
    names = _PARAMETERS.get(name, ())
    return s(name, z, **dict(zip(names, numbers, strict=False)))


@drawn("FusedConv", domain=MS)
def fused_conv(node: NodeAtX, s: Sketch) -> str:
    """``activation(Conv(X, W, B) + Z)``."""
    names = ("auto_pad", "group", "pads", "strides", "dilations", "kernel_shape")
    given: dict[str, Any] = {name: node.attr(name) for name in names}
    bias = [s.input(2)] if node.has(2) else []
    y = s("Conv", s.input(0), s.input(1), *bias, **given)
    if node.has(3):
        y = s("Add", y, s.input(3))
    return activated(s, y, node.attr("activation"), node.attr("activation_params") or [])


@drawn("FusedGemm", domain=MS)
def fused_gemm(node: NodeAtX, s: Sketch) -> str:
    """``activation(Gemm(A, B, C))``."""
    given = {name: node.attr(name) for name in ("alpha", "beta", "transA", "transB")}
    numbers = [node.attr(f"activation_{name}") for name in ("alpha", "beta", "gamma")]
    y = s("Gemm", *(s.input(i) for i in range(3) if node.has(i)), **given)
    return activated(s, y, node.attr("activation"), [n for n in numbers if n is not None])


@drawn("FusedMatMul", "TransposeMatMul", domain=MS)
def fused_matmul(node: NodeAtX, s: Sketch) -> str:
    """``alpha A' B'``: each side with its last two axes swapped, or its first batch axis moved."""
    sides = [_turned(node, s, i, side) for i, side in enumerate("AB")]
    y, alpha = s("MatMul", *sides), node.attr("alpha")
    return y if alpha == 1 else s("Mul", y, alpha)


def _turned(node: NodeAtX, s: Sketch, i: int, side: str) -> str:
    """Bring a side into the order of a plain product; vectors have nothing to swap."""
    last, batch = node.attr(f"trans{side}"), node.attr(f"transBatch{side}")
    axes = list(range(len(node.shape(i))))
    if batch and len(axes) > 2:
        # (n, *batch, k) becomes (*batch, n, k).
        axes = [*axes[1:-1], axes[0], axes[-1]]
    if last and len(axes) > 1:
        axes[-2:] = axes[:-3:-1]
    if axes == sorted(axes):
        return s.input(i)
    return s.transpose(s.input(i), *axes)


@drawn("BiasGelu", domain=MS)
def bias_gelu(node: NodeAtX, s: Sketch) -> str:
    """``Gelu(x + bias)``."""
    return s("Gelu", s("Add", s.input(0), s.input(1)))


@drawn("Gelu", domain=MS)
def gelu(node: NodeAtX, s: Sketch) -> str:
    """``z Phi(z)``, Phi the normal distribution."""
    return s("Gelu", s.input(0))


@drawn("FastGelu", domain=MS)
def fast_gelu(node: NodeAtX, s: Sketch) -> str:
    """The tanh approximation of Gelu, of ``x + bias`` if there is one."""
    z = s("Add", s.input(0), s.input(1)) if node.has(1) else s.input(0)
    return s("Gelu", z, approximate="tanh")


@rule("QuickGelu", domain=MS, status="smooth")
def quick_gelu(node: NodeAtX) -> Affine:
    """``z sigmoid(alpha z)``."""
    return touch(node, _gated(node.value(0), node.attr("alpha")), size=1.0)


@drawn("ScaledSiLU", domain=MS)
def scaled_silu(node: NodeAtX, s: Sketch) -> str:
    """``z sigmoid(z)``, z the input times a number: input 1, or alpha."""
    node.ignore("alpha")
    z = s("Mul", s.input(0), s.input(1) if node.has(1) else node.attr("alpha"))
    return s("Mul", z, s("Sigmoid", z))


def _gated(z: Array, alpha: float) -> Point:
    """Value, slope and gate of ``z sigmoid(alpha z)``."""
    gate = special.expit(alpha * z)
    return Point(z * gate, gate + alpha * z * gate * special.expit(-alpha * z), gate)


@drawn("ConvTransposeWithDynamicPads", domain=MS)
def conv_transpose(node: NodeAtX, s: Sketch) -> str:
    """ConvTranspose whose pads are an input."""
    names = ("auto_pad", "group", "strides", "dilations", "kernel_shape", "output_padding")
    given: dict[str, Any] = {name: node.attr(name) for name in names}
    if node.has(2):
        given["pads"] = [int(n) for n in node.native(2)]
    bias = [s.input(3)] if node.has(3) else []
    return s("ConvTranspose", s.input(0), s.input(1), *bias, **given)


@drawn("CDist", domain=MS)
def cdist(node: NodeAtX, s: Sketch) -> str:
    """Distance of each row of A from each row of B, squared unless the metric is euclidean."""
    (m, k), n = node.shape(0), node.shape(1)[0]
    apart = s("Sub", s.reshape(s.input(0), m, 1, k), s.reshape(s.input(1), 1, n, k))
    squares = s.total(s("Mul", apart, apart), (2,), keepdims=0)
    return s("Sqrt", squares) if node.attr("metric") == "euclidean" else squares


@rule("Inverse", domain=MS, status="smooth")
def inverse(node: NodeAtX) -> Affine:
    """Inverse Y of each matrix X, with the differential ``-Y dX Y``; ``frozen`` holds it."""
    x = node.value(0)
    y = np.linalg.inv(x)
    roundings = 16 + 4 * x.shape[-1]
    if node.frozen:
        size = np.abs(y) @ np.abs(x) @ np.abs(y)
        return Affine({}, y, None, size, roundings)
    differential = chain(product((y.shape, x.shape), 1, -y), MatMul.of(x.shape, y))
    return tangent(node, differential, y, roundings)
