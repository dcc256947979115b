"""The linearisation itself as one ONNX graph: forward pass, coefficients and sweep."""

from onnxlin.compiled.check import check_model
from onnxlin.compiled.export import compile_model
from onnxlin.compiled.model import Compiled, compile_section
from onnxlin.compiled.runner import Answer, Runner
from onnxlin.compiled.shelf import Shelf

__all__ = [
    "Answer",
    "Compiled",
    "Runner",
    "Shelf",
    "check_model",
    "compile_model",
    "compile_section",
]
