"""Rules: one node at x -> its affine piece. Importing this package registers all of them."""

from onnxlin.rules import (
    arithmetic,
    conv,
    extremum,
    indexing,
    layout,
    matmul,
    norm,
    pad,
    pointwise,
    pool,
    reduce,
    resize,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX, Operand
from onnxlin.rules.registry import RULES, Rule, rule

__all__ = [
    "RULES",
    "Affine",
    "NodeAtX",
    "Operand",
    "Rule",
    "arithmetic",
    "conv",
    "extremum",
    "indexing",
    "layout",
    "matmul",
    "norm",
    "pad",
    "pointwise",
    "pool",
    "reduce",
    "resize",
    "rule",
]
