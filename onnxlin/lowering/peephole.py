"""Known forms of coefficients that a runtime computes faster in another way."""

from __future__ import annotations

import numpy as np
from onnx import helper

from onnxlin.lowering.emitter import Emitter
from onnxlin.lowering.facts import surely_finite

# The largest power of ten that float32 holds: times it, every normal number is above 1.
STEEP = 3e38


def as_number(graph: Emitter, mask: str) -> str | None:
    """Write ``z > 0`` as a number, given that max(0, z) is there; None for other masks.

    A steep HardSigmoid of it is 0 or 1 but for a unit closer than 4e-39 to its kink. Unlike a
    comparison it may stay in the layout that convolutions work in.
    """
    node = graph.maker(mask)
    if not graph.steep:
        return None
    if node is None or node.op_type != "Greater" or graph.dtype != np.float32:
        return None
    z, edge = node.input
    if not surely_finite(graph, z):
        return None  # of what is no number a comparison makes 0, and a HardSigmoid anything
    if edge not in graph.stored or graph.stored[edge].size != 1 or graph.stored[edge].item() != 0:
        return None
    above = graph.found("Relu", z)
    return above and graph("HardSigmoid", above, alpha=STEEP, beta=0.0)


def pooled_number(graph: Emitter, number: str, index: str) -> str | None:
    """Write ``number[index]``, what `as_number` wrote of max(0, z), where a pool found the index.

    The largest entry of each window is what the pool makes. None where that is not what it is.
    """
    above = graph.maker(number)
    pool = graph.producer(index)
    while pool is not None and pool.op_type == "Reshape":
        index = pool.input[0]
        pool = graph.producer(index)
    if above is None or above.op_type != "HardSigmoid" or pool is None:
        return None
    if pool.op_type != "MaxPool" or above.input[0] != pool.input[0] or index not in pool.output[1:]:
        return None
    return graph("HardSigmoid", pool.output[0], alpha=STEEP, beta=0.0)


def added(graph: Emitter, op_type: str, a: str, b: str) -> str:
    """Write an Add or a Sub; of two ConvTransposes by the same kernel before them.

    Two convolutions that skip the same entries, as at the head of a residual block, end in that.
    """
    first, second = graph.maker(a), graph.maker(b)
    if first is None or second is None or first.op_type != "ConvTranspose":
        return graph(op_type, a, b)
    alike = first.op_type == second.op_type and list(first.attribute) == list(second.attribute)
    if not alike or first.input[1:] != second.input[1:] or len(first.input) != 2:
        return graph(op_type, a, b)
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in first.attribute}
    x = graph(op_type, first.input[0], second.input[0])
    return graph("ConvTranspose", x, first.input[1], **given)
