"""Gates: what an entry is multiplied by, where that is a function of the entry itself.

``z g(z)`` is a function of one entry that is 0 at 0, whatever its name, and frozen mode holds g(z):
so do the rules of Gelu and Swish. Written out, it is a product of two tensors that both depend on
x, whose terms would be halved. What g is called is found by its values, so that neither the order
of factors nor the place of a constant counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy import special

from onnxlin.graph import Array, Node
from onnxlin.operators.patterns.entrywise import Cone, cone
from onnxlin.operators.patterns.part import Part
from onnxlin.operators.patterns.spelt import Spelt

OTHER = "other gate z g(z)"
"""What a gate without a name is called."""

_ROOTS = 6
"""Scales that are taken back in search of what the gate is a function of."""

_POINTS = np.linspace(-6, 6, 49)
_FAR = 1000.0
"""There every gate of the table is 1."""

# Constants of 11 bits, those of float16, move a gate by less than half of this; the two forms of
# Gelu are apart by five times as much.
_NEAR = 5e-5

GATES: Mapping[str, Callable[[Array], Array]] = {
    "Gelu": special.ndtr,
    "Gelu (tanh)": lambda z: special.expit(np.sqrt(8 / np.pi) * (z + 0.044715 * z**3)),
    "HardSwish": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "Mish": lambda z: np.tanh(np.logaddexp(z, 0)),
    "Swish": special.expit,
}
"""Function of one entry -> its gate, which is 1 far to the right."""


def own_gates(part: Part) -> Iterator[Spelt]:
    """Products of a tensor and a function of it, entry by entry: the function is held.

    Of a quotient the rule holds the divisor.
    """
    pairs = [(node, found) for node in part.products("Mul", "Div") if (found := _gate(part, node))]
    inner = {made.name for _, (gate, _) in pairs for made in gate.nodes.values()}
    for node, (gate, held) in pairs:
        over = node.op_type == "Div"
        name = "" if node.name in inner else named_gate(part, gate, over=over)
        if not over:
            yield Spelt(name, node.name, ((node.name, held),), is_activation=True)
        elif name != OTHER:
            yield Spelt(name, node.name, is_activation=True)


def _gate(part: Part, node: Node) -> tuple[Cone, int] | None:
    """What is a function of the other operand, and its position."""
    for held in (1,) if node.op_type == "Div" else (0, 1):
        for root in part.chain(node.inputs[1 - held])[:_ROOTS]:
            name = node.inputs[held]
            found = None if name == root else cone(part, name, root)
            if found is not None and not found.is_power:
                return found, held
    return None


def named_gate(part: Part, found: Cone, *, over: bool = False) -> str:
    """Name a gate by its values, up to a factor; it may be what is divided by."""
    values, far = found.at(part, _POINTS), found.at(part, np.asarray(_FAR))
    if values is None or far is None or not np.isfinite(far) or not far:
        return OTHER
    with np.errstate(all="ignore"):
        values = np.broadcast_to(far / values if over else values / far, _POINTS.shape)
    apart = {name: np.abs(values - gate(_POINTS)).max() for name, gate in GATES.items()}
    best = min(apart, key=lambda name: np.nan_to_num(apart[name], nan=np.inf))
    if apart[best] < _NEAR:
        return best
    # Of a sigmoid of alpha z every entry tells alpha.
    with np.errstate(all="ignore"):
        alpha = float(special.logit(values[_POINTS == 1.0][0]))
        near = np.abs(values - special.expit(alpha * _POINTS)).max() < _NEAR
    return f"Swish (alpha={alpha:.4g})" if alpha > 0 and near else OTHER
