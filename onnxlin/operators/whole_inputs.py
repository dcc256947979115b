"""What whole numbers and strings an operator takes, for drawing inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping

from onnxlin.operators.families import COPIES

HANDED_ON: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(COPIES, (0,)),
    "Concat": tuple(range(64)),
    "Where": (1, 2),
    "StringNormalizer": (0,),
}
"""Operator -> positions at which whole numbers, or strings, enter that it hands on as they are."""

LOOKED_UP: Mapping[str, tuple[tuple[int, int], ...]] = {
    "Gather": ((1, 0),),
    "GatherElements": ((1, 0),),
}
"""Operator -> (position of the indices, position of the table), in order of preference."""

COUNTS: Mapping[tuple[str, int], tuple[int, int]] = {
    ("LSTM", 4): (1, 2),
    ("GRU", 4): (1, 2),
    ("RNN", 4): (1, 2),
    ("TopK", 1): (1, 2),
    ("Loop", 0): (1, 4),
}
"""(operator, position) where any small number will do -> lowest, one past the highest."""

STRINGS = ("keys_strings", "cats_strings", "classlabels_strings", "pool_strings")
"""Attributes that list the strings that an operator knows."""

_COMPUTES = frozenset({"Cast", "DequantizeLinear", "ConvInteger", "MatMulInteger"})


def computes(op_type: str) -> bool:
    """Whether an operator computes with whole numbers, or does not look at them."""
    return op_type in _COMPUTES or op_type.startswith(
        ("QLinear", "DynamicQuantize", "Shape", "Size")
    )


def becomes_float(op_type: str) -> bool:
    """Whether an operator can make floats of whole numbers, for what follows to compute with."""
    return op_type == "Cast"


def depth_of(op_type: str, at: int) -> int | None:
    """Position of the number below which the operand at a position stays; None of others."""
    return 1 if op_type == "OneHot" and at == 0 else None


def is_equality(op_type: str) -> bool:
    """Whether an operator holds its two operands against each other."""
    return op_type == "Equal"
