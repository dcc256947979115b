"""Operators with kinks: where their pieces meet, and what becomes of a piece on the way to 0."""

from __future__ import annotations

POINTWISE = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Clip", "HardSigmoid", "Abs", "Shrink"}
)
"""Entry by entry: the side of its kinks on which an entry lies decides its piece."""

WINDOWED = frozenset({"MaxPool"})
"""An entry of each window wins: the winner decides the piece."""

CONTINUOUS = frozenset(
    [
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Clip",
        "HardSigmoid",
        "Abs",
        "Max",
        "Min",
        "ReduceMax",
        "ReduceMin",
        "MaxPool",
        "GlobalMaxPool",
        "ReduceL1",
    ]
)
"""On a kink of these, the pieces of both sides give the same; of all others that is not known."""

HOMOGENEOUS = frozenset(
    [
        "Abs",
        "LeakyRelu",
        "MaxPool",
        "GlobalMaxPool",
        "ReduceL1",
        "ReduceMax",
        "ReduceMin",
        "Relu",
        "TopK",
    ]
)
"""Functions of input 0 whose piece at t z is that at z, for every t > 0."""

EXTREMA = frozenset({"Max", "Min"})
"""The same of all their inputs together."""

CAPPED = frozenset({"Clip"})
"""The same where the bounds, inputs 1 and 2, are 0 or infinite."""

LINEAR_IN_EACH = frozenset({"Div", "Gemm", "MatMul", "Mul"})
"""Linear in one factor: the same if the other one is a constant of the graph."""
