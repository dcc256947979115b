"""What values an operator takes at an input: what a sensible random instance of a model holds."""

from __future__ import annotations

CARRIED = {
    **dict.fromkeys(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"), (0,)),
    **dict.fromkeys(("Transpose", "Slice", "Split", "Gather", "Cast", "Tile"), (0,)),
    "Concat": tuple(range(64)),
    "Where": (1, 2),
    "StringNormalizer": (0,),
}
"""What hands whole numbers on as they are, by the positions that they enter at."""

CASTS = frozenset({"Cast"})
"""Where whole numbers may become floats, which what follows computes with."""

LOOKED_UP = {
    "Gather": ((1, 0),),
    "GatherElements": ((1, 0),),
    "EmbedLayerNormalization": ((0, 2), (1, 4)),
}
"""Position of the indices, position of the table, in order of preference."""

COUNTED = {"OneHot": (0, 1)}
"""Position of numbers from 0 on, position of how many there are."""

COUNTS = {
    ("LSTM", 4): (1, 2),
    ("GRU", 4): (1, 2),
    ("RNN", 4): (1, 2),
    ("TopK", 1): (1, 2),
    ("Loop", 0): (1, 4),
}
"""Where any small number will do: (operator, position) -> lowest, one past the highest."""

COMPARED = frozenset({"Equal"})
"""Hold one input against the other."""

CLIPPED = {"Clip": (1, 2)}
"""Positions of the bounds between which input 0 is cut off."""

_COMPUTED = frozenset({"Cast", "DequantizeLinear", "ConvInteger", "MatMulInteger"})
_ANY = ("QLinear", "DynamicQuantize", "Shape", "Size")  # how their names begin


def takes_any(op_type: str) -> bool:
    """Whether any whole numbers of its type will do."""
    return op_type in _COMPUTED or op_type.startswith(_ANY)
