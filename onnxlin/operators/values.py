"""Attributes of which only a few values mean anything, and which nobody holds to them."""

from __future__ import annotations

from collections.abc import Mapping

_LOSS = ("mean", "sum", "none")

ALLOWED: Mapping[tuple[str, str, str], tuple[str | int, ...]] = {
    # onnxruntime takes an unknown reduction for "mean" or "sum", whichever comes first where.
    ("", "NegativeLogLikelihoodLoss", "reduction"): _LOSS,
    ("", "SoftmaxCrossEntropyLoss", "reduction"): _LOSS,
    # It compares with 2 only: an axis far below 0 passes.
    ("", "ReverseSequence", "batch_axis"): (0, 1),
    ("", "ReverseSequence", "time_axis"): (0, 1),
}
"""(Domain, operator, attribute) -> the values that the specification lists."""
