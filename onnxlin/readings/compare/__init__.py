"""Two models at one input."""

from onnxlin.readings.compare.compare import compare
from onnxlin.readings.compare.comparison import Comparison

__all__ = ["Comparison", "compare"]
