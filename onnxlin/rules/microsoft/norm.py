"""Layer normalisations as onnxruntime fuses them, with the sum before them."""

from __future__ import annotations

from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.microsoft.fused import MS


def standardised(
    s: Sketch, z: str, epsilon: float, axes: tuple[int, ...] = (-1,), *, centre: bool = True
) -> tuple[str, str, str]:
    """Return z over its deviation, with the mean taken away or not; its mean; 1 / deviation."""
    mean = s.mean(z, axes) if centre else ""
    apart = s("Sub", z, mean) if centre else z
    variance = s.mean(s("Mul", apart, apart), axes)
    deviation = s("Sqrt", s("Add", variance, epsilon))
    return s("Div", apart, deviation), mean, s("Reciprocal", deviation)


@drawn("SkipLayerNormalization", domain=MS)
def skip_layer_norm(node: NodeAtX, s: Sketch) -> list[str]:
    """``LayerNormalization(input + skip + bias)``."""
    total = _total(node, s, 4)
    y, mean, inverse = standardised(s, total, node.attr("epsilon"))
    y = s("Mul", y, s.input(2))
    y = s("Add", y, s.input(3)) if node.has(3) else y
    return [y, mean, inverse, total]


@drawn("SkipSimplifiedLayerNormalization", domain=MS)
def skip_rms_norm(node: NodeAtX, s: Sketch) -> list[str]:
    """``RMSNormalization(input + skip + bias)``."""
    total = _total(node, s, 3)
    y, _, inverse = standardised(s, total, node.attr("epsilon"), centre=False)
    return [s("Mul", y, s.input(2)), "", inverse, total]


def _total(node: NodeAtX, s: Sketch, bias: int) -> str:
    """Input plus skip, which broadcasts over the batch, plus the bias if there is one."""
    total = s("Add", s.input(0), s.input(1))
    return s("Add", total, s.input(bias)) if node.has(bias) else total


@drawn("SimplifiedLayerNormalization")
def rms_norm(node: NodeAtX, s: Sketch) -> list[str]:
    """``x / sqrt(mean x^2 + epsilon) * scale`` over the last axes."""
    node.ignore("stash_type")
    rank = len(node.shape(0))
    axes = tuple(range(node.attr("axis") % rank, rank))
    y, _, inverse = standardised(s, s.input(0), node.attr("epsilon"), axes, centre=False)
    return [s("Mul", y, s.input(1)), inverse]


@drawn("GatedRMSNorm", domain=MS)
def gated_rms_norm(node: NodeAtX, s: Sketch) -> str:
    """``RMSNormalization(x)``, of runs as long as the scale, times a gate."""
    runs = (*node.shape(0)[:-1], -1, *node.shape(1))
    x, gate = (s.reshape(s.input(i), *runs) for i in (0, 2))
    y, _, _ = standardised(s, x, node.attr("epsilon"), centre=False)
    opened = s("Sigmoid", gate)
    if node.attr("activation") in ("silu", "swish"):
        opened = s("Mul", gate, opened)
    return s.reshape(s("Mul", s("Mul", y, s.input(1)), opened), *node.out_shape)
