"""Bodies drawn node by node, for operators that are long: see `drawn`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin.primitives import Array, Shape
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.schema import feeds_of
from onnxlin.rules.registry import rule

OPSET = 22
"""Operator set in which bodies are drawn."""

FLOAT = onnx.TensorProto.FLOAT


class Sketch:
    """A body in the making: ``s("Add", a, b)`` adds a node and returns the name of its result.

    Numbers and arrays among the inputs become constants. Input ``i`` of the node that is being
    linearised is the tensor ``s.input(i)``.

    Parameters
    ----------
    node : NodeAtX
    """

    def __init__(self, node: NodeAtX) -> None:
        self.node = node
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        kinds = [o.native.dtype for o in node.operands if o is not None and o.traced]
        self.dtype = kinds[0] if kinds else np.dtype(np.float32)

    def __call__(self, op_type: str, *inputs: str | Array | float, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.split(op_type, 1, *inputs, **attributes)[0]

    def split(
        self, op_type: str, count: int, *inputs: str | Array | float, **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs."""
        reads = [name if isinstance(name, str) else self.constant(name) for name in inputs]
        made = [f"t{len(self.nodes)}_{i}" for i in range(count)]
        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(onnx.helper.make_node(op_type, reads, made, **given))
        return made

    def input(self, i: int) -> str:
        """Name of the node's input ``i``; "" where it is left out."""
        return f"i{i}" if self.node.has(i) else ""

    def constant(self, value: Array | float) -> str:
        """Store a constant; floats take the precision of the node's operands."""
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(self.dtype)
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def reshape(self, tensor: str, *shape: int) -> str:
        """Give a tensor another shape; 0 keeps an axis, -1 takes what is left."""
        return self("Reshape", tensor, np.array(shape, dtype=np.int64))

    def transpose(self, tensor: str, *perm: int) -> str:
        """Permute the axes of a tensor."""
        return self("Transpose", tensor, perm=perm)

    def crop(self, tensor: str, axis: int, start: int, stop: int) -> str:
        """Entries ``start`` to ``stop`` along an axis."""
        at = (np.array([n], dtype=np.int64) for n in (start, stop, axis))
        return self("Slice", tensor, *at)

    def mean(self, tensor: str, axes: Sequence[int] = (-1,)) -> str:
        """Mean over axes, which stay at length 1."""
        return self("ReduceMean", tensor, np.array(axes, dtype=np.int64))

    def total(self, tensor: str, axes: Sequence[int] = (-1,), *, keepdims: int = 1) -> str:
        """Sum over axes."""
        return self("ReduceSum", tensor, np.array(axes, dtype=np.int64), keepdims=keepdims)

    def body(self, outputs: Sequence[str]) -> Body:
        """Close the sketch; ``outputs`` has a tensor, or "", for each output of the node."""
        helper = onnx.helper
        ends = [self("Identity", name) if name else "" for name in outputs]
        given = [
            helper.make_tensor_value_info(
                f"i{i}", helper.np_dtype_to_tensor_dtype(o.native.dtype), o.shape
            )
            for i, o in enumerate(self.node.operands)
            if o is not None
        ]
        results = [onnx.ValueInfoProto(name=name) for name in ends if name]
        graph = helper.make_graph(self.nodes, "body", given, results, self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        data = model.SerializeToString()
        return Body(data, lambda: onnx.load_from_string(data), feeds_of(self.node), ends)


Drawing = Callable[[NodeAtX, Sketch], str | Sequence[str]]


def drawn(*op_types: str, domain: str = "") -> Callable[[Drawing], Drawing]:
    """Register a function that draws the body of a node, for its shapes and constants at x.

    It returns the tensor that stands for each output, "" for an output that is not to be
    linearised (labels), or one tensor for an operator with one output.
    """

    def register(function: Drawing) -> Drawing:
        def expanded(node: NodeAtX) -> Body:
            sketch = Sketch(node)
            made = function(node, sketch)
            if node.overlooked():
                raise node.refuse(f"attributes {node.overlooked()} are set")
            outputs = [made] if isinstance(made, str) else list(made)
            missing = len(node.node.outputs) - len(outputs)
            return sketch.body(outputs[: len(node.node.outputs)] + [""] * missing)

        rule(*op_types, domain=domain, status="expanded")(expanded)
        return function

    return register


def wide(shape: Shape) -> tuple[int, int]:
    """Shape of a table: rows and features; a vector is one row."""
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])
