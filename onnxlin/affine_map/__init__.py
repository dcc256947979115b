"""The answer: an `AffineMap`, its file, its model, its proof."""

from onnxlin.affine_map.affine_map import AffineMap
from onnxlin.affine_map.file import filling, required_name
from onnxlin.affine_map.names import Names
from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.proved import TINY
from onnxlin.affine_map.tables import frame
from onnxlin.affine_map.verdict import Doubt, Verdict, together

__all__ = [
    "TINY",
    "AffineMap",
    "Doubt",
    "Names",
    "Origin",
    "Verdict",
    "filling",
    "frame",
    "required_name",
    "together",
]
