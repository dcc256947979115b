"""Inputs that say which entries count, beside those that hold the data."""

from __future__ import annotations

from collections.abc import Sequence

from onnxlin.graph import Graph, Node
from onnxlin.operators.families import LAYOUT
from onnxlin.operators.named import named
from onnxlin.operators.squashing import ONE_GROUP

# With a constant, or nothing, beside the mask.
CARRIES = LAYOUT | named("Add Div Expand Gather Mul Neg Not Slice Sub Tile")
DECIDES = named("And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Where")
WORD = "mask"


def is_mask(graph: Graph, name: str) -> bool:
    """Whether an input is a mask: by its name, or as all it does is to enter softmaxes and guards.

    A mask is added to the scores that go into a softmax, or decides a comparison or a Where.
    """
    return WORD in name.lower() or _only_masks(graph, name)


def _only_masks(graph: Graph, name: str) -> bool:
    readers, moving = readers_of(graph), graph.moved_by(graph.inputs)
    waiting, seen, masks = [name], {name}, False
    while waiting:
        tensor = waiting.pop()
        if tensor in graph.outputs:
            return False
        for node in readers.get(tensor, ()):
            if _decides(node, tensor) or enters_softmax(readers, node):
                masks = True
            elif node.op_type in CARRIES and not node.domain and _alone(node, seen, moving):
                new = [out for out in node.writes if out not in seen]
                waiting += new
                seen.update(new)
            else:
                return False
    return masks


def readers_of(graph: Graph) -> dict[str, list[Node]]:
    """The nodes that read each tensor."""
    found = dict[str, list[Node]]()
    for node in graph.nodes:
        for name in node.reads:
            found.setdefault(name, []).append(node)
    return found


def _decides(node: Node, tensor: str) -> bool:
    """Whether a node compares a tensor, or chooses by it."""
    if node.op_type == "Where":
        return tensor == node.inputs[0]
    return node.op_type in DECIDES and not node.domain


def enters_softmax(readers: dict[str, list[Node]], node: Node) -> bool:
    """Whether a node adds to what goes into a softmax, through layout alone."""
    if node.op_type != "Add":
        return False
    names: Sequence[str] = node.writes
    while len(names) == 1 and (after := readers.get(names[0])):
        if all(n.op_type in ONE_GROUP for n in after):
            return True
        if len(after) != 1 or after[0].op_type not in LAYOUT:
            return False
        names = after[0].writes
    return False


def _alone(node: Node, seen: set[str], moving: set[str]) -> bool:
    """Whether all that a node reads beside the mask is constant."""
    return all(name in seen or name not in moving for name in node.reads)
