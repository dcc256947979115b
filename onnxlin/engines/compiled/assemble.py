"""A model out of an emitted graph, and the descriptions of what it takes and makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin.graph.subgraphs import implicit
from onnxlin.graph.weights import stored
from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.lowering import Emitter
from onnxlin.primitives import Shape
from onnxlin.section import Section

STACKING = "K"
"""Name of the one axis whose length is open."""


def assembled(
    graph: Emitter,
    section: Section,
    given: Sequence[onnx.ValueInfoProto],
    made: Sequence[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """Make a model of a graph, without what its outputs do not need."""
    helper, wanted = onnx.helper, [info.name for info in made]
    nodes = graph.finished(wanted)
    read = {*wanted, *(n for node in nodes for n in (*node.input, *implicit(node)))}
    kept = [stored(name, array) for name, array in graph.stored.items() if name in read]
    body = helper.make_graph(nodes, "linearisation", given, made, kept)
    opsets = {**section.graph.opsets, "": NEWEST_RUNNABLE}
    imports = [helper.make_opsetid(d, v) for d, v in opsets.items()]
    return helper.make_model(body, opset_imports=imports, ir_version=10, producer_name="onnxlin")


def stacked_info(graph: Emitter, name: str, merged: int, rest: Shape) -> onnx.ValueInfoProto:
    """Describe a tensor ``(K * merged, *rest)``."""
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(graph.dtype))
    count: str | int = STACKING if merged == 1 else f"{STACKING} * {merged}"
    return onnx.helper.make_tensor_value_info(
        name, kind, [merged if graph.single else count, *rest]
    )


def info(name: str, dtype: Any, shape: Shape) -> onnx.ValueInfoProto:
    """Describe a tensor."""
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    return onnx.helper.make_tensor_value_info(name, kind, shape)
