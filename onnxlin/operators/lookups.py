"""Operators that look rows up in a table, and what becomes of whole numbers on the way there."""

from __future__ import annotations

from collections.abc import Mapping

from onnxlin.graph import Node
from onnxlin.operators.families import COPIES, LAYOUT, WEIGHTED
from onnxlin.operators.named import named
from onnxlin.operators.whole_inputs import HANDED_ON

INDICES: Mapping[str, int] = {
    "Gather": 1,
    "GatherBlockQuantized": 1,
    "GatherElements": 1,
    "GatherND": 1,
    "QEmbedLayerNormalization": 0,
}
"""Operator -> where it reads positions; what else it reads is the table."""

HANDS_ON: Mapping[str, tuple[int, ...]] = {
    **HANDED_ON,
    **dict.fromkeys(named("Abs BitwiseAnd BitwiseOr Clip Floor Mod Neg Pad Round"), (0,)),
    **dict.fromkeys(named("Add Div Max Min Mul Sub Sum"), tuple(range(64))),
    **dict.fromkeys(named("ScatterElements ScatterND"), (0, 2)),
    **dict.fromkeys(named("CategoryMapper LabelEncoder"), (0,)),
}
"""Operator -> positions at which whole numbers enter that behind it still say which row: moved,
shifted, or replaced where they are out of range. Comparisons, counts and winners do not."""

COUNTS = named("CumSum Range")
"""They number places one by one, whatever stands there."""

UNPACKS = LAYOUT | named("Add BitShift BitwiseAnd Concat DequantizeLinear Div Mul Slice Split Sub")
"""What makes numbers of codes that were looked up."""

SCALES = named("DequantizeLinear Div Mul Sub")
"""Of these the other operand may have been looked up as well, by the same positions."""

FINISHES = named("DequantizeLinear Div Mul")
"""The scale is the last that makes numbers of codes."""

CARRIES = COPIES | named("Add Clip Concat Cos Div Dropout Mul Neg Pad Sin Sub Sum Where")
"""With constants: they hand on what was looked up, in other units, places or numbers."""

ADDS = named("Add SkipLayerNormalization SkipSimplifiedLayerNormalization Sum")
"""They add tensors up, entry by entry."""

MULTIPLIES = named("Mul RotaryEmbedding")
"""They multiply tensors entry by entry, or turn one by angles."""

WEIGHS = WEIGHTED | named(
    """
    Attention DynamicQuantizeMatMul GRU GroupQueryAttention LSTM MatMulInteger
    MatMulIntegerToFloat MatMulNBits MultiHeadAttention QAttention QLinearMatMul RNN
    """
)
"""They take sums of what they are given, by weights or by shares."""

GROWS = named("Concat ScatterElements ScatterND TensorScatter")
"""They put what is new behind what was there, or over it."""

KEEPS: Mapping[str, tuple[int, ...]] = {
    "Attention": (1, 2),
    "DecoderMaskedMultiHeadAttention": (1, 2),
    "DecoderMaskedSelfAttention": (1,),
    "GroupQueryAttention": (1, 2),
    "MultiHeadAttention": (1, 2),
    "QAttention": (1,),
    "SparseAttention": (1, 2),
}
"""Operators of attention that do so themselves -> the outputs that hold keys and values then."""

PAST = GROWS | frozenset(KEEPS)
"""Whatever puts new keys and values behind those before."""


def indices_of(node: Node) -> str | None:
    """The tensor of positions at which a node reads a table; None of other operators."""
    at = INDICES.get(node.op_type)
    return node.inputs[at] if at is not None and at < len(node.inputs) else None


def kept_by(node: Node) -> list[str]:
    """The outputs of a node that hold keys and values for what comes next."""
    places = KEEPS.get(node.op_type, ())
    return [node.outputs[i] for i in places if i < len(node.outputs) and node.outputs[i]]


def picks_rows(node: Node, rows: Mapping[str, int]) -> bool:
    """Whether a node multiplies one-hot rows by a matrix, and so picks rows of that."""
    product = node.op_type in WEIGHTED and len(node.inputs) > 1
    return product and node.inputs[0] in rows and not node.attributes.get("transA")


def makes_one_hot(node: Node) -> bool:
    """Whether a node makes a row of zeros and a one of each whole number."""
    return node.op_type == "OneHot"
