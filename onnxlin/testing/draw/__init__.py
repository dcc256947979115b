"""Random instances of a model."""

from onnxlin.testing.draw.draw import KINDS

__all__ = ["KINDS"]
