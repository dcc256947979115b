"""Attributes that name an element type."""

from __future__ import annotations

from onnxlin.operators.named import named

NAMES_TYPE = named("to dtype output_dtype output_datatype softmax_precision stash_type precision")
"""Their names, whatever the operator: of what it makes, or of what it computes in."""
