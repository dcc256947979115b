"""One row of a model at one x, as attributions and judges ask about it."""

from onnxlin.readings.question.question import Question

__all__ = ["Question"]
