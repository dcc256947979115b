"""The answer: an `AffineMap`, its file, its model, its proof."""

from onnxlin.affine_map.affine_map import TINY, AffineMap
from onnxlin.affine_map.origin import Origin

__all__ = ["TINY", "AffineMap", "Origin"]
