"""A model that begins at hidden tensors: what lies before them, and beside them, is held at x."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnxlin.graph import Array, Graph
from onnxlin.linearizer import Linearizer
from onnxlin.runtime.opened import run, session
from onnxlin.section import moved


def cut(lin: Linearizer, feeds: dict[str, Array]) -> tuple[Linearizer, dict[str, Array]]:
    """Return a linearizer that runs from the tensors that ``lin`` linearises, and what to feed it.

    Where these are inputs of the model already, it is ``lin`` itself.
    """
    section, graph = lin.section, lin.graph
    if set(section.inputs) <= set(graph.inputs):
        return lin, feeds
    reached = moved(graph, section.inputs) - set(section.inputs)
    kept = [node for node in graph.nodes if any(name in reached for name in node.writes)]
    reads = {name for node in kept for name in node.reads} - reached
    values = _values(graph, feeds, reads | set(section.inputs))
    model = _model(graph, reached, values, section.inputs, section.outputs)
    begun = Linearizer(
        model,
        inputs=section.inputs,
        outputs=section.outputs,
        mode=lin.mode,
        rounding=lin.rounding,
        memory=lin.memory,
    )
    return begun, {name: values[name] for name in section.inputs}


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


def _model(
    graph: Graph,
    reached: set[str],
    values: Mapping[str, Array],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> onnx.ModelProto:
    helper = onnx.helper
    nodes = [n for n in graph.model.graph.node if any(name in reached for name in n.output)]
    given = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape
        )
        for name in inputs
    ]
    stored = [
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in values.items()
        if name not in inputs
    ]
    ends = [onnx.ValueInfoProto(name=name) for name in outputs]
    body = helper.make_graph(nodes, "from_hidden_tensors", given, ends, stored)
    imports = list(graph.model.opset_import)
    return helper.make_model(body, opset_imports=imports, ir_version=graph.model.ir_version)
