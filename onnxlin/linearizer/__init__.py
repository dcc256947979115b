"""The way in: a model and an input -> an `AffineMap`."""

from onnxlin.linearizer.features import columns
from onnxlin.linearizer.linearizer import Linearizer, Names
from onnxlin.linearizer.once import linearize

__all__ = ["Linearizer", "Names", "columns", "linearize"]
