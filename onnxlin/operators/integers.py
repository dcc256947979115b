"""Where integer tensors stand for real numbers: between quantising operators.

Under ``rounding="straight-through"`` a dependence on x goes through such tensors; under
``rounding="staircase"`` it ends at every integer tensor.

The schemas say which integers are numbers. Where an operand may be float as well, an operator
does the same to integers as to floats, and so does its rule; where it may not, it is an index, a
size, an axis, a flag or a pattern of bits. Results are told apart in the same way. Only operators
that were made for quantised tensors have numbers in places where no float may be.
"""

from __future__ import annotations

import onnx

from onnxlin.graph import Graph, Node
from onnxlin.operators.named import named
from onnxlin.operators.schemas import allowed_types

MICROSOFT = "com.microsoft"

_QUANTISED = {
    "": named(
        """
        ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul
        QuantizeLinear
        """
    ),
    MICROSOFT: named(
        """
        DequantizeLinear DynamicQuantizeMatMul MatMulIntegerToFloat QAttention QGemm QLinearAdd
        QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu
        QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere QuantizeLinear
        """
    ),
}
QUANTISED = frozenset((domain, name) for domain, names in _QUANTISED.items() for name in names)
"""(domain, operator), for those whose integers are all codes and zero points, hence numbers."""

_ROUNDED = named(
    """
    Cast CastLike Div GridSample Pow ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean Resize Shrink
    """
)
ROUNDED = frozenset(("", name) for name in _ROUNDED)
"""(domain, operator), for those that can make fractions of whole numbers; integers are rounded."""

# As they stand in the name of any type: of a tensor, a sequence, an optional.
_FLOATS = ("(float)", "(double)", "(float16)", "(bfloat16)")
_NO_NUMBERS = frozenset({onnx.TensorProto.BOOL, onnx.TensorProto.STRING})


def taken(node: Node) -> frozenset[str]:
    """Inputs whose integers a node reads as numbers: none that are indices, shapes or flags.

    What subgraphs read around them goes in as well: these know themselves what they do with it.
    """
    inputs = _numbers(node, 0, len(node.inputs))
    kept = (name for name, is_number in zip(node.inputs, inputs, strict=True) if is_number)
    return frozenset((*kept, *node.implicit))


def made(graph: Graph, node: Node) -> list[str]:
    """Outputs of a node that hold numbers made of those it reads, whatever their type."""
    outputs = _numbers(node, 1, len(node.outputs))
    kept = (name for name, is_number in zip(node.outputs, outputs, strict=True) if is_number)
    return [name for name in kept if name and graph.elem_types.get(name, 1) not in _NO_NUMBERS]


def _numbers(node: Node, side: int, count: int) -> list[bool]:
    """Which inputs (side 0) or outputs (side 1) hold numbers if they are integers."""
    if (node.domain, node.op_type) in QUANTISED:
        return [True] * count
    types = allowed_types(node.op_type, node.domain)[side]
    # The last row stands for as many tensors as there are.
    return [bool(types) and _may_be_float(types[min(i, len(types) - 1)]) for i in range(count)]


def _may_be_float(types: frozenset[str]) -> bool:
    return any(kind in name for name in types for kind in _FLOATS)
