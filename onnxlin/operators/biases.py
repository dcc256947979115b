"""What kind of bias an operator brings in, as far as its name tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from onnxlin.operators.families import WEIGHTED
from onnxlin.operators.pieces import ACTIVATIONS

Named = Literal["layer bias", "activation offset", "batch norm", "padding"]

OF_OPERATOR: Mapping[str, Named] = {
    **dict.fromkeys(WEIGHTED, "layer bias"),
    **dict.fromkeys(ACTIVATIONS, "activation offset"),
    "BatchNormalization": "batch norm",
    "Pad": "padding",
    "MaxPool": "padding",
}
"""Operator -> kind of its bias; that of others is a constant of the graph."""

ADDS = frozenset({"Add", "Sub"})
"""Behind a product with weights, what these add is the bias of a layer."""
