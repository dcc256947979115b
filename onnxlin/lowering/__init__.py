"""Writing linear programs as ONNX graphs: nodes, traced arrays, and stacks of them."""

from onnxlin.lowering import functions, indexing, ufuncs  # noqa: F401  # they fill the tables
from onnxlin.lowering.emitter import Emitter
from onnxlin.lowering.facts import Fact, facts
from onnxlin.lowering.moves import beside, padded, permuted, stretched, summed, taken
from onnxlin.lowering.scatter import Scattered, scattered
from onnxlin.lowering.stack import FEW, Laid, Scaled, Stack
from onnxlin.lowering.traced import NotStaticError, Traced, example, hollow, is_traced, tensor, wrap

__all__ = [
    "FEW",
    "Emitter",
    "Fact",
    "Laid",
    "NotStaticError",
    "Scaled",
    "Scattered",
    "Stack",
    "Traced",
    "beside",
    "example",
    "facts",
    "hollow",
    "is_traced",
    "padded",
    "permuted",
    "scattered",
    "stretched",
    "summed",
    "taken",
    "tensor",
    "wrap",
]
