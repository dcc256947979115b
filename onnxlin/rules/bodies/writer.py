"""Write the graph of a `Body`, node by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.primitives import Array


class Writer:
    """A graph in the making: every call adds a node and answers with the name of its output.

    Parameters
    ----------
    dtype : numpy.dtype
        Of float constants.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def __call__(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.several(op_type, 1, *inputs, **attributes)[0]

    def several(self, op_type: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs."""
        outputs = [f"n{len(self.nodes)}.{i}" for i in range(count)]
        self.nodes.append(onnx.helper.make_node(op_type, inputs, outputs, **attributes))
        return outputs

    def floats(self, value: Any) -> str:
        """Store a float constant."""
        return self.constant(np.asarray(value).astype(self.dtype))

    def ints(self, value: Any) -> str:
        """Store an integer constant."""
        return self.constant(np.asarray(value, dtype=np.int64))

    def constant(self, array: Array) -> str:
        """Store a constant."""
        name = f"c{len(self.initialisers)}"
        self.initialisers.append(onnx.numpy_helper.from_array(array, name))
        return name

    def split(self, tensor: str, count: int, axis: int) -> list[str]:
        """Cut into equal pieces along an axis."""
        if count == 1:
            return [tensor]
        return self.several("Split", count, tensor, axis=axis, num_outputs=count)

    def joined(self, pieces: list[str], axis: int) -> str:
        """Put pieces side by side along an axis."""
        return self("Concat", *pieces, axis=axis) if len(pieces) > 1 else pieces[0]

    def model(
        self,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        opsets: Iterable[tuple[str, int]] = (("", NEWEST_RUNNABLE),),
    ) -> onnx.ModelProto:
        """Return the graph as a model.

        Parameters
        ----------
        inputs, outputs : {tensor name: array}
            The arrays tell types, and shapes.
        opsets : pairs of domain and version
        """
        given, made = ([value_info(n, a) for n, a in ends.items()] for ends in (inputs, outputs))
        graph = onnx.helper.make_graph(self.nodes, "body", given, made, self.initialisers)
        imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets]
        return onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)


def value_info(name: str, array: Array) -> onnx.ValueInfoProto:
    """Describe a tensor by an array of its type and shape."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, array.shape)
