"""Values of tensors that are the same for every x."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from onnxlin.graph import Array, Graph
from onnxlin.operators.families import permutation
from onnxlin.runtime.opened import run, session
from onnxlin.section.cost import hold_constants
from onnxlin.section.parts import ancestors
from onnxlin.section.rounds import Rounds


def turned(graph: Graph, name: str) -> Array | None:
    """Return an initialiser, or one whose axes nodes permute, where it lies; None of others."""
    nodes = []
    while name not in graph.initialisers:
        node = graph.producer.get(name)
        if node is None or permutation(node, 0) is None:
            return None
        nodes.append(node)
        name = node.inputs[0]
    array = graph.initialisers[name]
    for node in reversed(nodes):
        array = array.transpose(permutation(node, array.ndim))
    return array


def fold(graph: Graph, names: Iterable[str]) -> dict[str, Array]:
    """Compute tensors that do not depend on any input, by running what makes them.

    A weight that the model turns round, as a head tied to its embedding is, is a view of it.
    """
    names = set(names)
    known = {name: view for name in names if (view := turned(graph, name)) is not None}
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
    Rounds(graph, hold_constants(model.graph.node, graph.initialisers)).hold({})
    return known | run(session(model, graph.initialisers), wanted, {})
