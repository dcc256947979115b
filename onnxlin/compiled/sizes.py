"""Shapes in a compiled graph are those of one x: nodes whose shapes may differ at another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from onnxlin.load import implicit
from onnxlin.lowering import Emitter, NotStaticError
from onnxlin.section import RANDOM_OPS

REDUCTIONS = """
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare
"""
SIZED: dict[str, tuple[int, ...]] = {
    "NonZero": (0,),
    "Unique": (0,),
    "Compress": (1,),
    "NonMaxSuppression": (0, 1),
    "Range": (0, 1, 2),
    "If": (0,),
    "Loop": (0, 1),
    "Slice": (1, 2, 3, 4),
    "Pad": (1, 3),
    "Resize": (1, 2, 3),
    "Col2Im": (1, 2),
    "MaxUnpool": (2,),
    "DFT": (1, 2),
    "STFT": (1, 3),
    **dict.fromkeys(("Reshape", "Expand", "Tile", "TopK", "OneHot", "CenterCropPad"), (1,)),
    **dict.fromkeys(("Squeeze", "Unsqueeze", "Split", "AffineGrid"), (1,)),
    **dict.fromkeys(REDUCTIONS.split(), (1,)),
    **dict.fromkeys(("ConstantOfShape", "BlackmanWindow", "HammingWindow", "HannWindow"), (0,)),
}
"""Operator in its newest form -> the operands whose values say how large its outputs are."""


def valued(op_type: str, reads: Sequence[str]) -> Sequence[str]:
    """Return those of the tensors that a node reads whose values it looks at, not only shapes."""
    if op_type in ("Shape", "Size"):
        return ()
    return reads[:1] if op_type == "CastLike" else reads


def require_known_sizes(graph: Emitter, nodes: Iterable[onnx.NodeProto]) -> None:
    """Check the nodes of a finished graph that belong to the model's own forward pass.

    Raises
    ------
    NotStaticError
        Another x may give a tensor another shape.
    """
    fixed = {"", *graph.stored}
    for node in nodes:
        reads = (*node.input, *implicit(node))
        if fixed.issuperset(valued(node.op_type, reads)) and node.op_type not in RANDOM_OPS:
            fixed.update(node.output)
        elif graph.added.isdisjoint(node.output):
            continue
        for i in SIZED.get(node.op_type, ()):
            if not fixed.issuperset(node.input[i : i + 1]):
                raise NotStaticError(
                    f"{node.op_type} at node {node.name!r} makes a tensor whose shape depends on "
                    f"the values at x"
                )
