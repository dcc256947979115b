"""Readings of a whole data set: what is found of each chunk, and what the chunks add up to."""

from onnxlin.data.readings.audit import Audited, audit
from onnxlin.data.readings.compare import compare
from onnxlin.data.readings.evaluate import evaluate
from onnxlin.data.readings.group import group

__all__ = ["Audited", "audit", "compare", "evaluate", "group"]
