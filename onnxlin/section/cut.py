"""Models whose hidden tensors are fed: cut open where these are made, or begun there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnxlin.graph import Array, Graph
from onnxlin.graph.tensors import array_info
from onnxlin.runtime.opened import run, session

BESIDE = "/made beside what is fed"


def cut_open(
    model: onnx.ModelProto, at: Mapping[str, Array], suffix: str = BESIDE
) -> onnx.ModelProto:
    """Copy a model and make tensors inputs of it, of the shapes and dtypes that they have.

    The nodes that make them stay, and write under another name: what they read is still an input.

    Parameters
    ----------
    model : onnx.ModelProto
        Left unchanged.
    at : {tensor name: array}
    suffix : str
        What is added to the names under which they are made.
    """
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    for node in cut.graph.node:
        node.output[:] = [name + suffix if name in at else name for name in node.output]
    taken = {info.name for info in cut.graph.input}
    kept = [info for info in cut.graph.value_info if info.name not in at]
    del cut.graph.value_info[:]
    cut.graph.value_info.extend(kept)
    cut.graph.input.extend(array_info(n, value) for n, value in at.items() if n not in taken)
    return cut


def begun_at(
    graph: Graph, feeds: Mapping[str, Array], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Write what depends on ``inputs`` as a model that takes nothing else, and what they are at x.

    What lies before them, and beside them, is held as it is at the x that ``feeds`` are.
    """
    reached = graph.moved_by(inputs) - set(inputs)
    kept = [node for node in graph.nodes if any(name in reached for name in node.writes)]
    reads = {name for node in kept for name in node.reads} - reached
    values = _values(graph, feeds, reads | set(inputs))
    helper = onnx.helper
    stored = [
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in values.items()
        if name not in inputs
    ]
    body = helper.make_graph(
        [n for n in graph.model.graph.node if any(name in reached for name in n.output)],
        "from_hidden_tensors",
        [array_info(name, values[name]) for name in inputs],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        stored,
    )
    imports = list(graph.model.opset_import)
    model = helper.make_model(body, opset_imports=imports, ir_version=graph.model.ir_version)
    return model, {name: values[name] for name in inputs}


def _values(graph: Graph, feeds: Mapping[str, Array], names: set[str]) -> dict[str, Array]:
    """Tensors of a run at x, constants and inputs among them."""
    known = {**graph.initialisers, **feeds}
    wanted = sorted(names - set(known))
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    ran = run(session(model, graph.initialisers), wanted, feeds) if wanted else {}
    return {name: known[name] if name in known else ran[name] for name in names}
