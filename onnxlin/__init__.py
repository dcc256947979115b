"""onnxlin: the exact affine map F(x) = W x + b that an ONNX model is at one input."""

from onnxlin.errors import (
    CompileError,
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
from onnxlin.version import __version__

from onnxlin.compiled import check_model, compile_model  # isort: skip  # pipeline order
from onnxlin.affine_map import AffineMap  # isort: skip
from onnxlin.linearizer import Linearizer  # isort: skip
from onnxlin.one_map import linearize  # isort: skip

__all__ = [
    "RULES",
    "AffineMap",
    "CompileError",
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
    "__version__",
    "check_model",
    "compile_model",
    "linearize",
    "rule",
]
