"""Attributions judged by runs of the model."""

from onnxlin.readings.judging.judge import Judgement, judge

__all__ = ["Judgement", "judge"]
