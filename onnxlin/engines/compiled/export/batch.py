"""A compiled model for any number of instances at once: each goes through the same graph.

The graph of one instance becomes the body of a Scan, so that instances stay apart whatever the
operators do with axes, and their number is open. Weights are stored once, around it.
"""

from __future__ import annotations

import onnx

from onnxlin.graph.subgraphs import prefixed

INSTANCES = "N"
"""Name of the axis of the instances."""
INSIDE = "one/"
"""What stands before the names of tensors inside."""


def batched(made: onnx.ModelProto) -> onnx.ModelProto:
    """Let a compiled model take N instances along a first axis, and N times the seeds.

    A first axis of length 1 in what one instance takes and gives becomes that axis; what has none
    gets it. Seeds (N, K, n_out) are those of each instance.

    Parameters
    ----------
    made : onnx.ModelProto
        It takes no part in what is returned.
    """
    inner = prefixed(made, _free(made))
    prefix = inner.graph.output[0].name.removesuffix(made.graph.output[0].name)
    helper = onnx.helper
    stacks = [_Stack(i, prefix) for i in made.graph.input]
    results = [_Stack(o, prefix) for o in made.graph.output]
    body = helper.make_graph(
        [
            *(node for stack in stacks for node in stack.opened()),
            *inner.graph.node,
            *(node for stack in results for node in stack.closed()),
        ],
        "one instance",
        [stack.slice() for stack in stacks],
        [stack.slice() for stack in results],
    )
    scan = helper.make_node(
        "Scan",
        [stack.name for stack in stacks],
        [stack.name for stack in results],
        "instances",
        body=body,
        num_scan_inputs=len(stacks),
    )
    zero = helper.make_tensor(f"{prefix}first axis", onnx.TensorProto.INT64, [1], [0])
    graph = helper.make_graph(
        [scan],
        made.graph.name,
        [stack.whole() for stack in stacks],
        [stack.whole() for stack in results],
        [*inner.graph.initializer, zero],
    )
    imports, version = made.opset_import, made.ir_version
    found: onnx.ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=version)
    return found


def _free(made: onnx.ModelProto) -> str:
    """A prefix that none of the names outside has."""
    taken = [info.name for info in (*made.graph.input, *made.graph.output)]
    prefix = INSIDE
    while any(name.startswith(prefix) for name in taken):
        prefix = f"{prefix}{INSIDE}"
    return prefix


class _Stack:
    """An input or output of one instance, and the stack of those of N."""

    def __init__(self, info: onnx.ValueInfoProto, prefix: str) -> None:
        self.name, self._prefix = info.name, prefix
        kind = info.type.tensor_type
        self._kind = kind.elem_type
        dims: list[int | str] = [d.dim_param or d.dim_value for d in kind.shape.dim]
        self._dropped = dims[:1] == [1]
        self._rest = dims[1:] if self._dropped else dims

    @property
    def _inner(self) -> str:
        return f"{self._prefix}{self.name}"

    @property
    def _slice(self) -> str:
        return f"{self._inner}/slice"

    def whole(self) -> onnx.ValueInfoProto:
        """Describe the stack."""
        dims = [INSTANCES, *self._rest]
        return onnx.helper.make_tensor_value_info(self.name, self._kind, dims)

    def slice(self) -> onnx.ValueInfoProto:
        """Describe what the Scan hands on."""
        return onnx.helper.make_tensor_value_info(self._slice, self._kind, self._rest)

    def opened(self) -> list[onnx.NodeProto]:
        """Make an input of one instance of its slice."""
        return self._moved("Unsqueeze", self._slice, self._inner)

    def closed(self) -> list[onnx.NodeProto]:
        """Make a slice of an output of one instance."""
        return self._moved("Squeeze", self._inner, self._slice)

    def _moved(self, op_type: str, source: str, target: str) -> list[onnx.NodeProto]:
        if not self._dropped:
            # Never without a node: an output may be stored, and stands around the body then.
            return [onnx.helper.make_node("Identity", [source], [target], target)]
        axis = f"{self._prefix}first axis"
        return [onnx.helper.make_node(op_type, [source, axis], [target], target)]
