"""One node run by itself, for an output that it lacks in the model as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from onnxlin.graph import Array, Node
from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.load.normalise import Draft, to_proto
from onnxlin.operators.schemas import output_position
from onnxlin.runtime.opened import Session, run, session


class LoneNode:
    """One node in its newest form, for an output that its old form lacks.

    Parameters
    ----------
    node : Node
    output : str
        Name of the output in the schema.
    """

    def __init__(self, node: Node, output: str) -> None:
        attributes = {name: node.attributes[name] for name in node.given}
        at = output_position(node, NEWEST_RUNNABLE, output)
        assert at is not None, f"{node.op_type} has no output {output}"
        outputs = [output if i == at else "" for i in range(at + 1)]
        # Operators check that their required first output is asked for.
        outputs[0] = outputs[0] or "first"
        self._reads = [name for name in node.inputs if name]
        inputs = list(node.inputs)
        self._proto = to_proto(
            Draft(
                node.name, node.op_type, node.domain, inputs, outputs, attributes, NEWEST_RUNNABLE
            )
        )
        self._output = output
        self._sessions: dict[Any, Session] = {}

    def __call__(self, values: Mapping[str, Any]) -> Array:
        """Run it on the tensors of a trace."""
        feeds = {name: values[name] for name in self._reads}
        kinds = tuple((v.dtype, v.ndim) for v in feeds.values())
        if kinds not in self._sessions:
            self._sessions[kinds] = session(self._model(feeds))
        result: Array = run(self._sessions[kinds], [self._output], feeds)[self._output]
        return result

    def _model(self, feeds: Mapping[str, Array]) -> onnx.ModelProto:
        helper = onnx.helper
        given = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim
            )
            for name, value in feeds.items()
        ]
        result = onnx.ValueInfoProto(name=self._output)
        graph = helper.make_graph([self._proto], "lone_node", given, [result])
        opset = helper.make_opsetid("", NEWEST_RUNNABLE)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)
