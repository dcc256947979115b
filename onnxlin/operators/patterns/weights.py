"""Softmax that is spelt out, and the attention that its weights make."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlin.graph import Node
from onnxlin.operators.patterns.part import Part
from onnxlin.operators.patterns.spelt import Spelt
from onnxlin.operators.squashing import logits_of

SOFTMAX, LOGARITHM = "Softmax", "LogSoftmax"


def softmaxes(part: Part) -> Iterator[Spelt]:
    """Find ``exp(z) / sum exp(z)`` and ``z - log(sum exp(z))``; z may be less its maximum.

    The exponential is held by its own rule. What is left of the maximum in a logarithm is held
    here, where nothing else reads the difference: as part of ``log sum exp(z)``.
    """
    for node in part.products("Div", "Mul", "Sub"):
        if logits_of(part.makers, node) is not None:
            if node.op_type != "Sub":
                yield Spelt(SOFTMAX, node.name)
            else:
                yield Spelt(LOGARITHM, node.name, _maximum(part, node))


def _maximum(part: Part, node: Node) -> tuple[tuple[str, int], ...]:
    """Return the maximum that is taken away before the logarithm is, along the same axes."""
    less = part.maker(node.inputs[0])
    if less is None or less.op_type != "Sub" or part.moved(less) != [0, 1]:
        return ()
    top, total = (_behind(part, name) for name in (less.inputs[1], node.inputs[1]))
    if total is not None and total.op_type == "Log":
        total = _behind(part, total.inputs[0])
    if top is None or total is None or top.op_type != "ReduceMax":
        return ()
    own = part.is_read_only_by(less.outputs[0], 2) and _axes(part, top) == _axes(part, total)
    return ((less.name, 1),) if own and top.inputs[0] == less.inputs[0] else ()


def _behind(part: Part, name: str) -> Node | None:
    return part.maker(part.laid_out(name))


def _axes(part: Part, node: Node) -> list[int] | None:
    return part.numbers(node.inputs[1]) if len(node.inputs) > 1 else None


def attentions(part: Part, spelt: set[str]) -> Iterator[Spelt]:
    """Find products of values with weights that a softmax makes of products of queries and keys.

    Parameters
    ----------
    spelt : set of str
        Nodes that end a softmax which is spelt out.
    """
    for node in part.products("MatMul"):
        weights = _behind(part, node.inputs[0])
        if weights is not None and (weights.op_type == SOFTMAX or weights.name in spelt):
            own = weights.op_type == SOFTMAX
            logits = weights.inputs[0] if own else logits_of(part.makers, weights)
            if logits is not None and _are_scores(part, logits):
                yield Spelt("Attention", node.name)


def _are_scores(part: Part, name: str) -> bool:
    """Whether a tensor is a product of two that depend on x, scaled, masked and biased."""
    for _ in range(8):
        node = part.maker(part.laid_out(name))
        if node is None:
            return False
        if node.op_type in ("MatMul", "Einsum"):
            return len(part.moved(node)) == 2
        if node.op_type not in ("Add", "Clip", "Div", "Mul", "Sub", "Tanh", "Where"):
            return False
        moved = [i for i in part.moved(node) if node.op_type != "Where" or i > 0]
        if not moved:
            return False
        name = node.inputs[moved[0]]
    return False
