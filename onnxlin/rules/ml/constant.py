"""Maps and encoders of ``ai.onnx.ml``: locally constant, or not numeric at all."""

from __future__ import annotations

from dataclasses import replace

from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.ml.scores import ML
from onnxlin.rules.registry import rule


@rule(
    "CastMap",
    "CategoryMapper",
    "DictVectorizer",
    "LabelEncoder",
    "OneHotEncoder",
    "ZipMap",
    domain=ML,
    status="constant",
)
def held(node: NodeAtX) -> list[Affine]:
    """What the node gave at x: it only compares its input with numbers."""
    return [replace(piece, guards="it looks keys up") for piece in held_pieces(node)]


def held_pieces(node: NodeAtX) -> list[Affine]:
    """Hold every float output at its value at x."""
    node.ignore(*node.node.given)
    # A result may also be a list of maps, or strings.
    kinds = [getattr(getattr(r, "dtype", None), "kind", "") for r in node.results]
    return [
        Affine({}, node.cast(node.result(i)), roundings=0) if kind == "f" else Affine({})
        for i, kind in enumerate(kinds)
    ]
