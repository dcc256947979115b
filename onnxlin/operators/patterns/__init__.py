"""Operators that a graph spells out by simpler ones: one table of patterns, found at load."""

from onnxlin.operators.patterns.part import Part
from onnxlin.operators.patterns.products import gated_products
from onnxlin.operators.patterns.spelt import Spelt
from onnxlin.operators.patterns.table import spelt_out

__all__ = ["Part", "Spelt", "gated_products", "spelt_out"]
