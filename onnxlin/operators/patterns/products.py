"""Gated products: ``act(a) * b``, as SwiGLU, GEGLU, Mamba and squeeze-and-excite have them."""

from __future__ import annotations

from collections.abc import Set

from onnxlin.operators.named import named
from onnxlin.operators.patterns.part import Part
from onnxlin.operators.pieces import ACTIVATIONS

_CURVED = named(
    """
    Celu Elu Erf Gelu Mish Selu Softsign Swish Tanh QuickGelu FastGelu BiasGelu ScaledSiLU
    """
)
"""Smooth activations, those that onnxruntime fuses among them, that are 0 at 0."""

ACTIVE = _CURVED | ACTIVATIONS
"""What may be held, or else follow x."""

SETTLED = named("Sigmoid Softplus Softmax")
"""Held by their own rules: a product with one of them has no other reading."""

_HOPS = 8
"""Times that scales, layouts and a shift are gone back over."""

SHIFTS = named("Add Sub Min Max")
"""With a constant beside it they leave an activation one."""


def gated_products(part: Part, gates: Set[str]) -> dict[str, int]:
    """Find products of an activation and a factor that is none.

    Parameters
    ----------
    gates : set of str
        Nodes that end a function of one entry which is spelt out.

    Returns
    -------
    {node name: position of the activation}
    """
    found = {}
    for node in part.products("Mul"):
        made = [_activation(part, name, gates) for name in node.inputs]
        if node.name not in gates and made.count(None) == 1:
            at = 1 - made.index(None)
            if made[at] not in SETTLED:
                found[node.name] = at
    return found


def _activation(part: Part, name: str, gates: Set[str]) -> str | None:
    """Activation that a tensor is made by, laid out, scaled or shifted by constants after that."""
    for _ in range(_HOPS):
        node = part.makers.get(name)
        if node is None:
            return None
        if node.op_type in ACTIVE | SETTLED or node.name in gates:
            return node.op_type
        if (fused := node.attributes.get("activation")) in ACTIVE | SETTLED:
            return str(fused)  # FusedConv, FusedGemm
        before = part.laid_out(part.chain(name)[-1])
        moved = part.moved(node)
        if before == name and node.op_type in SHIFTS and len(moved) == 1:
            before = node.inputs[moved[0]]
        if before == name:
            return None
        name = before
    return None
