"""The nodes of a graph that some tensors need, in an order in which they run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx

from onnxlin.graph.subgraphs import implicit


def needed(nodes: Sequence[onnx.NodeProto], wanted: Sequence[str]) -> list[onnx.NodeProto]:
    """Return what the wanted tensors need, each node after those that make what it reads."""
    made = {name: node for node in nodes for name in node.output if name}
    ordered: dict[int, onnx.NodeProto] = {}
    stack = [made[name] for name in reversed(wanted) if name in made]
    entered: set[int] = set()
    while stack:
        node = stack[-1]
        if id(node) in entered:
            stack.pop()
            ordered.setdefault(id(node), node)
            continue
        entered.add(id(node))
        needs = (made[n] for n in (*node.input, *implicit(node)) if n in made)
        stack.extend(other for other in needs if id(other) not in entered)
    return list(ordered.values())


def renamed(
    node: onnx.NodeProto, reads: Mapping[str, str], writes: Mapping[str, str]
) -> onnx.NodeProto:
    """Return a node that reads and writes other tensors; itself where it has none of them."""
    if reads.keys().isdisjoint(node.input) and writes.keys().isdisjoint(node.output):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [reads.get(name, name) for name in node.input]
    copy.output[:] = [writes.get(name, name) for name in node.output]
    return copy


def without_indices(node: onnx.NodeProto, others: Collection[str]) -> onnx.NodeProto:
    """Return a pool without its indices where others stand for them: with them it is slow."""
    if node.op_type != "MaxPool" or len(node.output) < 2 or node.output[1] not in others:
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.output[1:]
    return copy
