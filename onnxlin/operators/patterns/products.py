"""Gated products: ``act(a) * b``, as SwiGLU, GEGLU, Mamba and squeeze-and-excite have them."""

from __future__ import annotations

from collections.abc import Set

from onnxlin.operators.named import named
from onnxlin.operators.patterns.part import Part
from onnxlin.operators.pieces import ACTIVATIONS

CURVED = named(
    """
    Celu Elu Erf Gelu Mish Selu Sigmoid Softplus Softsign Swish Tanh QuickGelu FastGelu BiasGelu
    ScaledSiLU
    """
)
"""Smooth activations, those that onnxruntime fuses among them."""


def gated_products(part: Part, gates: Set[str]) -> dict[str, int]:
    """Find products of an activation and a factor that is none.

    Parameters
    ----------
    gates : set of str
        Nodes that are functions of one entry, written as products of it and its gate.

    Returns
    -------
    {node name: position of the activation}
    """
    found = {}
    for node in part.products("Mul"):
        active = [_is_activation(part, name, gates) for name in node.inputs]
        if node.name not in gates and active[0] != active[1]:
            found[node.name] = active.index(True)
    return found


def _is_activation(part: Part, name: str, gates: Set[str]) -> bool:
    """Whether a tensor is made by an activation, then laid out, scaled or shifted by constants."""
    while (node := part.makers.get(name)) is not None:
        if node.op_type in CURVED | ACTIVATIONS or node.name in gates:
            return True
        before = part.laid_out(part.chain(name)[-1])
        moved = part.moved(node)
        if before == name and node.op_type in ("Add", "Sub") and len(moved) == 1:
            before = node.inputs[moved[0]]
        if before == name:
            return False
        name = before
    return False
