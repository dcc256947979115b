"""Tensors whose shape the values at x decide: no graph for fixed shapes can serve those."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import onnx

from onnxlin.graph import Node
from onnxlin.graph.subgraphs import implicit
from onnxlin.operators.families import RESHAPES

BY_ENTRIES = frozenset({"NonZero", "Unique", "NonMaxSuppression", "StringSplit"})
"""Operators whose results are as long as the values of any operand say."""

BY_OPERANDS: dict[str, Sequence[int]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "ConvTransposeWithDynamicPads": (2,),
    "DFT": (1, 2),
    "Expand": (1,),
    "ExpandDims": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "SequenceAt": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Squeeze": (1,),
    "STFT": (1, 3),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}
"""Operator -> the operands whose values give the shape of a result, or one of several shapes."""


def valued(op_type: str, reads: Sequence[str]) -> Sequence[str]:
    """Return those of the tensors that a node reads whose values it looks at, not only shapes."""
    if op_type in ("Shape", "Size", "SequenceLength", "OptionalHasElement"):
        return ()
    return reads[:1] if op_type == "CastLike" else reads


def shaped_by_constant(node: Node) -> str | None:
    """Operator that makes the same of a shape given as a constant; None where there is none."""
    if node.op_type in RESHAPES:
        return "Reshape"
    return "Expand" if node.op_type == "Expand" else None


def shaped_by_values(
    nodes: Sequence[Node], varying: Collection[str], settled: Callable[[Node], bool]
) -> dict[str, Node]:
    """Find tensors whose shape is not the same at every x of one shape.

    Parameters
    ----------
    nodes : sequence of Node
        In order.
    varying : collection of str
        Tensors whose values differ from one x to the next.
    settled : callable
        Whether the branches of an If are known to make tensors of the same shapes.

    Returns
    -------
    {tensor: the node where that begins}
    """
    found: dict[str, Node] = {}
    for node in nodes:
        origin = next((found[name] for name in node.reads if name in found), None)
        if origin is None and _decides(node, varying, settled):
            origin = node
        if origin is not None:
            found |= dict.fromkeys(node.writes, origin)
    return found


def told(node: Node) -> str:
    """Say in which way values decide shapes at a node that `shaped_by_values` found."""
    at = f"{node.op_type} at node {node.name!r}"
    if node.op_type == "Loop":
        return f"values decide how often {at} goes round"
    if node.op_type == "If":
        return f"values decide which branch {at} takes, and the two may differ in shape"
    return f"values decide the shape of what {node.op_type} makes at node {node.name!r}"


def _decides(node: Node, varying: Collection[str], settled: Callable[[Node], bool]) -> bool:
    """Whether the shapes of a node's results follow from values that vary."""
    if node.op_type in BY_ENTRIES:
        return any(name in varying for name in node.reads)
    if node.op_type == "Loop":
        return _stops_at_will(node, varying)
    if node.op_type == "If":
        return node.inputs[0] in varying and not settled(node)
    axes = (1,) if node.op_type.startswith("Reduce") else BY_OPERANDS.get(node.op_type, ())
    return any(i < len(node.inputs) and node.inputs[i] in varying for i in axes)


def _stops_at_will(node: Node, varying: Collection[str]) -> bool:
    """Whether values decide how often a loop runs."""
    body = node.attributes["body"]
    states = [i.name for i in body.input[2:]]
    moving = {n for n, outer in zip(states, node.inputs[2:], strict=False) if outer in varying}
    moving |= {name for name in node.implicit if name in varying}
    before = -1
    while len(moving) > before:
        before = len(moving)
        reached = _reached(body.node, moving)
        ends = (o.name for o in body.output[1:])
        moving |= {n for n, end in zip(states, ends, strict=False) if end in reached}
    limits = any(name in varying for name in node.inputs[:2])
    return limits or body.output[0].name in _reached(body.node, moving)


def _reached(nodes: Sequence[onnx.NodeProto], start: Collection[str]) -> set[str]:
    """Tensors that depend on some others."""
    found = set(start)
    for node in nodes:
        if any(name in found for name in _reads(node)):
            found.update(node.output)
    return found


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    yield from implicit(node)
