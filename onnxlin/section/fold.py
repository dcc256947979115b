"""Values of tensors that are the same for every x, and what a tensor is made from."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from onnxlin.graph import Array, Graph
from onnxlin.runtime.opened import run, session
from onnxlin.section.cost import hold_constants


def fold(graph: Graph, names: Iterable[str]) -> dict[str, Array]:
    """Compute tensors that do not depend on any input, by running what makes them."""
    names = set(names)
    known = {name: graph.initialisers[name] for name in names & set(graph.initialisers)}
    wanted = sorted(names - set(known))
    if not wanted:
        return known
    kept = ancestors(graph, wanted)
    model = onnx.ModelProto()
    model.ir_version = max(graph.model.ir_version, 4)
    model.opset_import.extend(graph.model.opset_import)
    model.graph.name = "fixed"
    model.graph.node.extend(
        proto for proto in graph.model.graph.node if any(o in kept for o in proto.output)
    )
    model.graph.initializer.extend(t for t in graph.model.graph.initializer if t.name in kept)
    model.graph.sparse_initializer.extend(
        t for t in graph.model.graph.sparse_initializer if t.values.name in kept
    )
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    hold_constants(model.graph.node, graph.initialisers)
    return known | run(session(model, graph.initialisers), wanted, {})


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
