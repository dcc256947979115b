"""What a person reads off a map."""

from onnxlin.readings.dot import to_dot
from onnxlin.readings.ensemble import Ensemble
from onnxlin.readings.grouping import group
from onnxlin.readings.groups import Groups, LocalModel
from onnxlin.readings.reporting import report
from onnxlin.readings.scores import Scores
from onnxlin.readings.shap import explanation

__all__ = [
    "Ensemble",
    "Groups",
    "LocalModel",
    "Scores",
    "explanation",
    "group",
    "report",
    "to_dot",
]
