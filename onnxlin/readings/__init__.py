"""What a person reads off a map."""

from onnxlin.readings.ensemble import Ensemble
from onnxlin.readings.grouping import group
from onnxlin.readings.groups import Groups, LocalModel
from onnxlin.readings.scores import Scores

__all__ = [
    "Ensemble",
    "Groups",
    "LocalModel",
    "Scores",
    "group",
]
