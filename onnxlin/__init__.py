"""onnxlin: the exact affine map F(x) = W x + b that an ONNX model is at one input."""

import sys
from typing import TYPE_CHECKING

from onnxlin.lazy import MovedModules, lazily
from onnxlin.version import __version__

if TYPE_CHECKING:
    from onnxlin.affine_map import AffineMap, Verdict
    from onnxlin.engines.compiled import check_model, compile_model
    from onnxlin.errors import (
        CompileError,
        DataError,
        DetachedError,
        FileError,
        InputError,
        LimitError,
        MemoryBudgetError,
        MissingRuleError,
        ModelError,
        OnnxlinError,
        OptionError,
        RegionError,
        ResidualError,
        RowsError,
        RuleError,
        RunError,
        SandboxError,
        TensorNameError,
        TraceError,
        UndecidedError,
        UnsupportedNodeError,
    )
    from onnxlin.linearizer import Linearizer, linearize
    from onnxlin.load import export_model
    from onnxlin.rules import RULES, rule
    from onnxlin.runtime.sandbox import Sandbox

__all__ = [
    "RULES",
    "AffineMap",
    "CompileError",
    "DataError",
    "DetachedError",
    "FileError",
    "InputError",
    "LimitError",
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
    "RunError",
    "Sandbox",
    "SandboxError",
    "TensorNameError",
    "TraceError",
    "UndecidedError",
    "UnsupportedNodeError",
    "Verdict",
    "__version__",
    "check_model",
    "compile_model",
    "export_model",
    "linearize",
    "rule",
]

_HOMES = {
    "RULES": "onnxlin.rules",
    "rule": "onnxlin.rules",
    "AffineMap": "onnxlin.affine_map",
    "Sandbox": "onnxlin.runtime.sandbox",
    "Verdict": "onnxlin.affine_map",
    "Linearizer": "onnxlin.linearizer",
    "check_model": "onnxlin.engines.compiled",
    "compile_model": "onnxlin.engines.compiled",
    "export_model": "onnxlin.load",
    "linearize": "onnxlin.linearizer",
    **{name: "onnxlin.errors" for name in __all__ if name.endswith("Error")},
}
# Not for type checkers, which would take any name for one that is there.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)

sys.meta_path.append(MovedModules())
