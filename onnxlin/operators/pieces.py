"""How the pieces of piecewise-affine operators lie to each other."""

from __future__ import annotations

from onnxlin.graph import Node
from onnxlin.operators.named import named

CONTINUOUS = named(
    """
    Abs Clip GlobalMaxPool HardSigmoid LeakyRelu Max MaxPool Min PRelu ReduceL1 ReduceMax ReduceMin
    Relu
    """
)
"""On a kink the pieces of both sides give the same."""

HOMOGENEOUS = named("Abs GlobalMaxPool LeakyRelu MaxPool ReduceL1 ReduceMax ReduceMin Relu TopK")
"""Their piece at t x is that at x for every t > 0."""

EXTREMA = named("Max Min")
"""The same, where the operands that do not depend on x are 0."""

POINTWISE = named("Abs Clip HardSigmoid LeakyRelu PRelu Relu Shrink ThresholdedRelu")
"""Every entry of the first input makes one entry, by a slope and an offset."""

WINDOWED = named("MaxPool")
"""Every entry is one of the first input's, of the same instance and channel."""

ACTIVATIONS = (POINTWISE - {"Abs"}) | {"HardSwish"}
"""Their offsets are those of an activation: caps, thresholds. Abs has none."""


def caps(node: Node) -> tuple[str, str] | None:
    """Tensors that a Clip takes its bounds from, "" for none; None of other operators."""
    if node.op_type != "Clip":
        return None
    low, high = (*node.inputs[1:], "", "")[:2]
    return low, high
