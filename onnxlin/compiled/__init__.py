"""The linearisation itself as one ONNX graph: forward pass, coefficients and sweep."""

from onnxlin.compiled.export import compile_model
from onnxlin.compiled.model import Compiled, compile_section
from onnxlin.compiled.runner import Runner
from onnxlin.compiled.shelf import Shelf

__all__ = ["Compiled", "Runner", "Shelf", "compile_model", "compile_section"]
