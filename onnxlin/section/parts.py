"""Parts of a model that make some tensors alone, to be run by themselves."""

from __future__ import annotations

from collections.abc import Container, Iterable

import onnx

from onnxlin.graph import Graph


def ancestors(graph: Graph, wanted: Iterable[str]) -> set[str]:
    """Tensors that the wanted ones are made from, themselves included."""
    reads = {o: node.reads for node in graph.nodes for o in node.writes}
    needed, kept = list(wanted), set[str]()
    while needed:
        name = needed.pop()
        if name not in kept:
            kept.add(name)
            needed += reads.get(name, ())
    return kept


def cut_down(model: onnx.ModelProto, graph: Graph, wanted: Iterable[str]) -> None:
    """Drop nodes that nothing wanted needs: the runtime need not even be able to load them."""
    kept = ancestors(graph, wanted)
    nodes = [n for n in model.graph.node if any(o in kept for o in n.output)]
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def part_for(
    model: onnx.ModelProto, graph: Graph, wanted: Iterable[str], fed: Container[str]
) -> onnx.ModelProto:
    """Copy what makes some tensors, with those as its outputs, and what is fed as its inputs."""
    wanted = list(wanted)
    part = onnx.ModelProto()
    part.CopyFrom(model)
    cut_down(part, graph, wanted)
    del part.graph.output[:]
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    needed = ancestors(graph, wanted)
    kept = [i for i in part.graph.input if i.name in fed and i.name in needed]
    kept = [onnx.ValueInfoProto.FromString(i.SerializeToString()) for i in kept]
    del part.graph.input[:]
    part.graph.input.extend(kept)
    return part
