"""Weights that a session of onnxruntime keeps twice: as they are, and packed for its products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxlin.graph import Array, Node

OPERANDS: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("", "Gemm"): (1,),
    ("", "GRU"): (1, 2),
    ("", "LSTM"): (1, 2),
    ("", "MatMul"): (1,),
    ("", "MatMulInteger"): (1,),
    ("", "QLinearMatMul"): (3,),
    ("com.microsoft", "Attention"): (1,),
    ("com.microsoft", "DynamicQuantizeMatMul"): (1,),
    ("com.microsoft", "FusedMatMul"): (1,),
    ("com.microsoft", "MatMulIntegerToFloat"): (1,),
    ("com.microsoft", "QAttention"): (1,),
}
"""Operator -> positions of such weights, if they are constants of the file (PrePack of its kernels
for the CPU in onnxruntime 1.32)."""


def packed_bytes(nodes: Iterable[Node], weights: Mapping[str, Array]) -> int:
    """Bytes of the packed copies of the weights of some nodes.

    Parameters
    ----------
    weights : {tensor name: array}
        The constants of the file.
    """
    names = (
        node.inputs[i]
        for node in nodes
        for i in OPERANDS.get((node.domain, node.op_type), ())
        if i < len(node.inputs)
    )
    return sum(weights[name].nbytes for name in names if name in weights)
