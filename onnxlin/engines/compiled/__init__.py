"""The linearisation itself as one ONNX graph: forward pass, coefficients and sweep."""

from onnxlin.engines.compiled.charges import Loop
from onnxlin.engines.compiled.compile import Compiled, compile_section
from onnxlin.engines.compiled.export.compilable import check_model
from onnxlin.engines.compiled.export.export import compile_model
from onnxlin.engines.compiled.many.runs import ahead, runs_beside
from onnxlin.engines.compiled.session import Answer, Runner
from onnxlin.engines.compiled.sessions import Shelf

__all__ = [
    "Answer",
    "Compiled",
    "Loop",
    "Runner",
    "Shelf",
    "ahead",
    "check_model",
    "compile_model",
    "compile_section",
    "runs_beside",
]
