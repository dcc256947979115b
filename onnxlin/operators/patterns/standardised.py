"""Normalisations that are spelt out: a tensor over its spread.

Their map is that of the operator by the rules of their nodes alone: a divisor is held, and so are a
reciprocal and a power below 0. Here they are only told.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlin.graph import Node
from onnxlin.operators.patterns.part import FAR, Part
from onnxlin.operators.patterns.spelt import Spelt

CENTRED, UNCENTRED, LENGTH = "LayerNormalization", "RMSNormalization", "LpNormalization"


def standardised(part: Part) -> Iterator[Spelt]:
    """Find quotients ``c / sqrt(mean c c + epsilon)``, c with its mean taken away or not."""
    for node in part.products("Div", "Mul"):
        if (name := _named(part, node)) is not None:
            yield Spelt(name, node.name)


def grouped(part: Part) -> Iterator[Spelt]:
    """Find InstanceNormalization between two nodes that gather channels into groups."""
    for node in part.nodes:
        if node.op_type == "InstanceNormalization" and not node.domain:
            before = part.made_by(node.inputs[0], "Reshape")
            scale = part.constant(node.inputs[1])
            plain = scale is not None and bool((scale == 1).all())
            after = part.readers(node.outputs[0])
            if before is not None and plain and [n.op_type for n in after] == ["Reshape"]:
                yield Spelt("GroupNormalization", after[0].name)


def _named(part: Part, node: Node) -> str | None:
    """Name the normalisation that ends at a quotient, or at a product with a reciprocal."""
    sides = [(node.inputs[0], node.inputs[1])]
    if node.op_type == "Mul":
        sides = [(node.inputs[i], _inverse(part, node.inputs[1 - i])) for i in (0, 1)]
    for over, under in sides:
        found = under and _spread_of(part, under, over)
        if found:
            centred = _is_centred(part, over)
            return CENTRED if centred and found == UNCENTRED else found
    return None


def _inverse(part: Part, name: str) -> str:
    """What a tensor is 1 over: a spread, or its square where it is a power of -1/2; "" for none."""
    node = part.made_by(name, "Reciprocal", "Div", "Pow")
    if node is None or (node.op_type == "Div" and part.number(node.inputs[0]) != 1):
        return ""
    if node.op_type != "Pow":
        return node.inputs[-1]
    power = part.number(node.inputs[1])
    return {-1.0: node.inputs[0], -0.5: node.outputs[0]}.get(power or 0.0, "")


def _spread_of(part: Part, spread: str, over: str) -> str | None:
    """How the spread is formed of the tensor over it; None where it is that of another."""
    for _ in range(FAR):
        kept = part.made_by(spread, "Add", "Max", "Clip", "Expand", "Reshape")
        if kept is None:
            break
        moved = part.moved(kept)
        if len(moved) != 1:
            return None
        spread = kept.inputs[moved[0]]
    if (length := part.made_by(spread, "ReduceL2")) is not None:
        return LENGTH if part.same(length.inputs[0], over) else None
    root = part.made_by(spread, "Sqrt", "Pow")
    if root is None or (root.op_type == "Pow" and part.number(root.inputs[1]) not in (0.5, -0.5)):
        return None
    return _mean_square(part, root.inputs[0], over)


def _mean_square(part: Part, name: str, over: str) -> str | None:
    """Whether a tensor is a mean, or a sum, of squares of another, plus a constant."""
    divided = False
    for _ in range(FAR):
        step = part.made_by(name, "Add", "Max", "Clip", "Mul", "Div")
        if step is None:
            break
        moved = part.moved(step)
        if len(moved) != 1 or (step.op_type == "Div" and moved != [0]):
            return None
        divided = divided or step.op_type in ("Mul", "Div")
        name = step.inputs[moved[0]]
    total = part.made_by(name, "ReduceMean", "ReduceSum", "ReduceSumSquare")
    if total is None:
        return None
    found = UNCENTRED if divided or total.op_type == "ReduceMean" else LENGTH
    if total.op_type == "ReduceSumSquare":
        return found if part.same(total.inputs[0], over) else None
    square = part.made_by(total.inputs[0], "Mul", "Pow")
    if square is None:
        return None
    twice = square.op_type == "Pow" and part.number(square.inputs[1]) == 2
    twice = twice or (square.op_type == "Mul" and part.same(*square.inputs))
    return found if twice and part.same(square.inputs[0], over) else None


def _is_centred(part: Part, name: str) -> bool:
    """Whether a tensor is another one less its mean."""
    apart = part.made_by(name, "Sub")
    mean = None if apart is None else part.made_by(apart.inputs[1], "ReduceMean")
    return apart is not None and mean is not None and part.same(mean.inputs[0], apart.inputs[0])
