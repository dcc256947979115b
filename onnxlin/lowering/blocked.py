"""The layout that onnxruntime's convolutions work in: blocks of channels, side by side.

Between convolutions its optimiser leaves tensors in that layout where every operator may work in
it. What may is narrow: convolutions and pools of whole blocks, sums and products of tensors of one
shape, activations. Each other operator costs a copy before it and one behind.
"""

from __future__ import annotations

import onnx

from onnxlin.lowering.emitter import Emitter

BLOCK = 16
"""Channels that every such layout takes a whole number of blocks of."""

MAKERS = ("Conv", "AveragePool")


def channels_of(graph: Emitter, name: str, start: int, end: int) -> str | None:
    """Write some channels of what a convolution makes as one by that part of its kernels.

    None where it would not stay in the layout. As a rule others read the other channels, nobody
    all of them, and it is no more to compute.
    """
    made = graph.maker(name)
    if made is None or made.op_type != "Conv" or len(made.input) != 2 or graph.lean:
        return None
    if start % BLOCK or end % BLOCK or _attribute(made, "group", 1) != 1:
        return None
    x, weight = made.input
    places = (graph.ints([v]) for v in (start, end, 0, 1))
    given = {a.name: onnx.helper.get_attribute_value(a) for a in made.attribute}
    return graph("Conv", x, graph("Slice", weight, *places), **given)


def multiplied(graph: Emitter, name: str, factor: str) -> str:
    """Write a product with a factor of x, in the layout if the factor is an activation."""
    return graph("Mul", entered(graph, name, factor), factor)


def entered(graph: Emitter, name: str, factor: str) -> str:
    """Bring what an activation multiplies into the layout, where that keeps it there.

    From then on sums along a residual net stay there, too, and are parts of their convolutions. A
    mean of single entries is their copy, and the only operator that does nothing in that layout.
    """
    mask, shape = graph.maker(factor), graph.shapes.get(factor, ())
    if not graph.single or mask is None or mask.op_type != "HardSigmoid":
        return name
    if len(shape) != 4 or shape[0] != 1 or shape[1] % BLOCK or _is_there(graph, name):
        return name
    return graph("AveragePool", name, kernel_shape=[1, 1])


def _is_there(graph: Emitter, name: str) -> bool:
    """Whether a tensor is made in the layout: by a convolution, or of what has entered it."""
    waiting = [name]
    while waiting:
        made = graph.maker(waiting.pop())
        if made is None or made.op_type not in (*MAKERS, "Mul", "Add"):
            return False
        if made.op_type == "Add":
            waiting += made.input
        if made.op_type == "Mul":  # the mask has been in `entered`, and met what is there
            given, mask = (graph.maker(n) for n in made.input)
            met = given is not None and given.op_type in (*MAKERS, "Add")
            if not met or mask is None or mask.op_type != "HardSigmoid":
                return False
    return True


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)
