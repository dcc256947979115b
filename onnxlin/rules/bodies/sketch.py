"""Bodies drawn node by node: by a `Writer`, and for operators that are long by `drawn`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.primitives import Array, Shape
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.schema import feeds_of
from onnxlin.rules.registry import rule

OPSET = 22
"""Operator set in which bodies are drawn."""

FLOAT = onnx.TensorProto.FLOAT


class Writer:
    """A graph in the making: every call adds a node and answers with the name of its output.

    Parameters
    ----------
    dtype : numpy.dtype
        Of float constants.
    """

    # How the outputs of nodes are called: the number of the node, and which output of it.
    NAMES = "n{}.{}"

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def __call__(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.several(op_type, 1, *inputs, **attributes)[0]

    def several(self, op_type: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs."""
        outputs = [self.NAMES.format(len(self.nodes), i) for i in range(count)]
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


class Sketch(Writer):
    """The body of one node in the making: ``s("Add", a, b)`` adds a node and names its result.

    Numbers and arrays among the inputs become constants. Input ``i`` of the node that is being
    linearised is the tensor ``s.input(i)``.

    Parameters
    ----------
    node : NodeAtX
    """

    NAMES = "t{}_{}"

    def __init__(self, node: NodeAtX) -> None:
        kinds = [o.native.dtype for o in node.operands if o is not None and o.traced]
        super().__init__(kinds[0] if kinds else np.dtype(np.float32))
        self.node = node

    def __call__(self, op_type: str, *inputs: str | Array | float, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.several(op_type, 1, *inputs, **attributes)[0]

    def several(
        self, op_type: str, count: int, *inputs: str | Array | float, **attributes: Any
    ) -> list[str]:
        """Add a node with ``count`` outputs; attributes that are None are left out."""
        reads = [name if isinstance(name, str) else self.constant(name) for name in inputs]
        given = {name: value for name, value in attributes.items() if value is not None}
        return super().several(op_type, count, *reads, **given)

    def input(self, i: int) -> str:
        """Name of the node's input ``i``; "" where it is left out."""
        return f"i{i}" if self.node.has(i) else ""

    def constant(self, value: Array | float) -> str:
        """Store a constant; floats take the precision of the node's operands."""
        array = np.asarray(value)
        array = array.astype(self.dtype) if array.dtype.kind == "f" else array
        return super().constant(np.array(array, order="C"))

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
            value_info(f"i{i}", o.native) for i, o in enumerate(self.node.operands) if o is not None
        ]
        results = [onnx.ValueInfoProto(name=name) for name in ends if name]
        graph = helper.make_graph(self.nodes, "body", given, results, self.initialisers)
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
