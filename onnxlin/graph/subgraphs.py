"""The graphs inside nodes, and what they read of the tensors around them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Graphs among the attributes of a node: branches, bodies of loops."""
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else attribute.graphs)


def implicit(node: onnx.NodeProto) -> list[str]:
    """Tensors that the subgraphs of a node read from outside."""
    outer: dict[str, None] = {}
    for graph in subgraphs(node):
        inner = {i.name for i in graph.input} | {t.name for t in graph.initializer}
        inner |= {name for child in graph.node for name in child.output}
        read = [name for child in graph.node for name in reads(child)]
        read += [o.name for o in graph.output]
        outer |= {name: None for name in read if name and name not in inner}
    return list(outer)


def reads(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node needs: its inputs, and what its subgraphs read around them."""
    return [*node.input, *implicit(node)]


def prefixed(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """Return a copy with a prefix before every tensor name, those in subgraphs too."""
    new = onnx.ModelProto()
    new.CopyFrom(model)
    _prefix(new.graph, prefix)
    return new


def _prefix(graph: onnx.GraphProto, prefix: str) -> None:
    sparse = [part for t in graph.sparse_initializer for part in (t.values, t.indices)]
    ends = (*graph.input, *graph.output, *graph.value_info)
    for named in (*ends, *graph.initializer, *sparse):
        named.name = prefix + named.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [prefix + name if name else "" for name in names]
        for inner in subgraphs(node):
            _prefix(inner, prefix)
