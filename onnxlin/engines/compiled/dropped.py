"""A graph without one of its outputs."""

from __future__ import annotations

import onnx

from onnxlin.graph.subgraphs import reads
from onnxlin.lowering.needed import needed


def drop_output(graph: onnx.GraphProto, name: str) -> None:
    """Leave out an output, and every node and stored array that nothing else needs."""
    graph.output.remove(next(output for output in graph.output if output.name == name))
    wanted = [output.name for output in graph.output]
    nodes = needed(list(graph.node), wanted)
    kept = {node.output[0] for node in nodes}
    for node in [node for node in graph.node if node.output[0] not in kept]:
        graph.node.remove(node)
    read = {*wanted, *(tensor for node in nodes for tensor in reads(node))}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
