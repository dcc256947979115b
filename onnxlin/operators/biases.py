"""What an operator's bias is, where its status does not say so."""

from __future__ import annotations

PRODUCTS = frozenset(
    {"Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul", "FusedConv", "FusedGemm"}
)
"""Products with weights: their bias, or that of a sum behind them, is a layer's."""

SUMS = frozenset({"Add", "Sub"})
"""Write the bias of a product as a node of its own."""

ACTIVATIONS = frozenset(
    {"Clip", "HardSigmoid", "HardSwish", "Shrink", "ThresholdedRelu", "PRelu", "LeakyRelu", "Relu"}
)
"""Offsets of their pieces: caps, and what is left of a slope."""

NORMS = frozenset({"BatchNormalization"})
"""Scale and shift by statistics that are constants."""

PADS = frozenset({"Pad", "MaxPool"})
"""Bring in constants at the rim."""

STEADY = frozenset({"Gemm", "MatMul"})
"""Add up as many products as their shapes say, whatever x is."""
