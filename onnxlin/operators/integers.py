"""Where integer tensors stand for real numbers: between quantising operators.

Under ``rounding="straight-through"`` a dependence on x goes through such tensors; under
``rounding="staircase"`` it ends at every integer tensor.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from onnxlin.graph import Graph, Node

MICROSOFT = "com.microsoft"

_ALL = tuple(range(64))  # of any number of inputs
_FIRST = """
    Abs Cast CastLike ConvInteger DepthToSpace DequantizeLinear DynamicQuantizeLinear Expand Flatten
    Gather GatherElements GatherND GlobalMaxPool Identity MaxPool Neg Pad QLinearConv QuantizeLinear
    ReduceMax ReduceMin Relu Reshape Resize Slice SpaceToDepth Split Squeeze Tile Transpose
    Unsqueeze Dropout Ceil Floor Round
"""
_POSITIONS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(_FIRST.split(), (0,)),
    **dict.fromkeys(("Add", "Sub", "Mul"), (0, 1)),
    **dict.fromkeys(("Concat", "Max", "Min", "Sum"), _ALL),
    "Clip": (0,),
    "Where": (1, 2),
    "ConvInteger": (0, 2),
    "DequantizeLinear": (0, 2),
    "QuantizeLinear": (0, 2),
    "QLinearMatMul": (0, 3),
    "MatMulInteger": (0, 1, 2, 3),
}
_MICROSOFT: Mapping[str, tuple[int, ...]] = {
    "DequantizeLinear": (0, 2),
    "QuantizeLinear": (0, 2),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
    "QLinearAveragePool": (0,),
    "QLinearGlobalAveragePool": (0,),
    "QLinearLeakyRelu": (0,),
    "QLinearSigmoid": (0,),
    "QLinearSoftmax": (0,),
    "QLinearConv": (0,),
    "QLinearConcat": _ALL[2::3],
    "QLinearWhere": (1, 4),
    "QGemm": (0, 3),
    "MatMulIntegerToFloat": (0, 1, 4, 5),
    "DynamicQuantizeMatMul": (0,),
}
_NO_NUMBERS = frozenset(
    {onnx.TensorProto.BOOL, onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED}
)


def taken(node: Node) -> frozenset[str]:
    """Inputs whose integers a node reads as numbers: none that are indices, shapes or flags."""
    table = {"": _POSITIONS, MICROSOFT: _MICROSOFT}.get(node.domain, {})
    positions = table.get(node.op_type, ())
    return frozenset(node.inputs[i] for i in positions if i < len(node.inputs))


def made(graph: Graph, node: Node) -> list[str]:
    """Outputs of a node that hold numbers made of those it reads, whatever their type."""
    if not taken(node):
        return []
    several = node.op_type in ("Split", "DynamicQuantizeLinear")
    found = node.writes if several else node.outputs[:1]
    return [name for name in found if name and graph.elem_types.get(name, 1) not in _NO_NUMBERS]
