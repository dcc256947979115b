"""The closed set of linear maps that affine pieces are made of."""

from onnxlin.primitives.along import Along
from onnxlin.primitives.broadcast import Broadcast
from onnxlin.primitives.combine import Adjoint, Chain, Sum, adjoint, chain
from onnxlin.primitives.conv import Conv
from onnxlin.primitives.crop import Crop
from onnxlin.primitives.diagonal import Diagonal
from onnxlin.primitives.layout import Reshape, Transpose, identity
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, applied, coefficients, dot_test
from onnxlin.primitives.matmul import MatMul
from onnxlin.primitives.select import Select
from onnxlin.primitives.weighable import weighable

PRIMITIVES: tuple[type[LinearMap], ...] = (
    Along,
    Broadcast,
    Adjoint,
    Chain,
    Sum,
    Conv,
    Crop,
    Diagonal,
    Reshape,
    Transpose,
    MatMul,
    Select,
)
"""Every primitive; the tests hold each to the laws of a linear map."""

__all__ = [
    "PRIMITIVES",
    "Adjoint",
    "Along",
    "Array",
    "Broadcast",
    "Chain",
    "Conv",
    "Crop",
    "Diagonal",
    "LinearMap",
    "MatMul",
    "Reshape",
    "Select",
    "Shape",
    "Sum",
    "Transpose",
    "adjoint",
    "applied",
    "chain",
    "coefficients",
    "dot_test",
    "identity",
    "weighable",
]
