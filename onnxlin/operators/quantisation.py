"""Operators between numbers and codes, and what rounds what depends on x."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx

from onnxlin.graph import Graph, Node
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.operators.integers import MICROSOFT
from onnxlin.operators.named import named

_ROUNDING = frozenset(
    {
        *(("", name) for name in named("Ceil DynamicQuantizeLinear Floor QuantizeLinear Round")),
        *(("", name) for name in named("QLinearConv QLinearMatMul")),
        *(
            (MICROSOFT, name)
            for name in named(
                """
                DynamicQuantizeLSTM DynamicQuantizeMatMul QAttention QEmbedLayerNormalization
                QGemm QLinearAdd QLinearAveragePool QLinearConv QLinearGlobalAveragePool
                QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
                QuantizeLinear
                """
            )
        ),
    }
)
"""(domain, operator), for those that round numbers to steps: far apart, and not where floats are.

A float rounded another way before them comes out a whole step apart where it lies on the edge.
"""

FINDS_SCALE = named("DynamicQuantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul")
"""They find the size of their steps in what they round: that goes on where rounding ends."""

CODING = named("DequantizeLinear DynamicQuantizeLinear QuantizeLinear")
"""They make codes of numbers, or numbers of codes, and nothing else."""

_INTEGERS = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
)


def rounds(graph: Graph, nodes: Iterable[Node], varying: Collection[str]) -> bool:
    """Whether some node rounds to steps what depends on values of x, by itself or inside of it.

    Parameters
    ----------
    varying : tensor names
        Those that do, not by their shapes alone.
    """
    return any(_rounds(graph, node) for node in nodes if not _apart(node, varying))


def _apart(node: Node, varying: Collection[str]) -> bool:
    return not any(name in varying for name in node.reads)


def _rounds(graph: Graph, node: Node) -> bool:
    if (node.domain, node.op_type) in _ROUNDING or _casts(graph, node):
        return True
    return any(_inside(inner) for inner in subgraphs(node.source))


def _casts(graph: Graph, node: Node) -> bool:
    """Whether floats are cut off to whole numbers."""
    if node.op_type != "Cast" or node.domain:
        return False
    return node.attributes["to"] in _INTEGERS and graph.may_be_float(node.inputs[0])


def _inside(graph: onnx.GraphProto) -> bool:
    """The same of a branch or body, of whose tensors less is known."""
    for node in graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (domain, node.op_type) in _ROUNDING or any(map(_inside, subgraphs(node))):
            return True
    return False


def to_codes(node: Node) -> bool | None:
    """Whether a node makes codes of numbers (True) or numbers of codes (False); None if neither.

    None, too, where it does so block by block.
    """
    if node.domain not in ("", MICROSOFT) or node.attributes.get("block_size"):
        return None
    return {"QuantizeLinear": True, "DequantizeLinear": False}.get(node.op_type)
