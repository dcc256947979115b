"""onnxlin: the exact affine map F(x) = W x + b that an ONNX model is at one input."""

from onnxlin.errors import (
    DetachedError,
    InputError,
    MemoryBudgetError,
    MissingRuleError,
    ModelError,
    OnnxlinError,
    OptionError,
    RegionError,
    ResidualError,
    RowsError,
    RuleError,
    TensorNameError,
    TraceError,
    UnsupportedNodeError,
)
from onnxlin.rules import RULES, rule

from onnxlin.check import check_model  # isort: skip  # pipeline order
from onnxlin.affine_map import AffineMap  # isort: skip
from onnxlin.linearizer import Linearizer, linearize  # isort: skip

__version__ = "0.1.0"

__all__ = [
    "RULES",
    "AffineMap",
    "DetachedError",
    "InputError",
    "Linearizer",
    "MemoryBudgetError",
    "MissingRuleError",
    "ModelError",
    "OnnxlinError",
    "OptionError",
    "RegionError",
    "ResidualError",
    "RowsError",
    "RuleError",
    "TensorNameError",
    "TraceError",
    "UnsupportedNodeError",
    "check_model",
    "linearize",
    "rule",
]
