"""Operators that make more than they are given, and how much: found from numbers, before a run."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from math import ceil, prod
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.limits import ENDLESS

Values = Sequence[Array | None]
"""Of the operands of a node; None for those that are left out."""

Entries = Callable[[Values, Sequence[int], Mapping[str, Any]], int]
"""Values, numbers of entries and attributes -> entries of the output, or fewer."""


def _shape(at: int) -> Entries:
    """As many as an operand says, which is a shape; at least 1 along an axis of -1 or 0."""
    return lambda values, sizes, attributes: prod(max(n, 1) for n in _whole(values, at))


def _length(at: int) -> Entries:
    """So many, or so many for each entry of what the operand stands beside."""
    return lambda values, sizes, attributes: max([0, *_whole(values, at)])


def _whole(values: Values, at: int) -> list[int]:
    value = values[at] if at < len(values) else None
    if value is None:
        return []
    # Infinities and NaN give no length: the runtime refuses them.
    return [int(n) for n in np.ravel(value) if np.isfinite(n)]


def _range(values: Values, sizes: Sequence[int], attributes: Mapping[str, Any]) -> int:
    if any(value is not None and value.size != 1 for value in values[:3]):
        return 0  # the runtime refuses them
    start, limit, delta = (value.item() if value is not None else 0 for value in values[:3])
    steps = (limit - start) / delta if delta else 0
    return max(ceil(steps), 0) if np.isfinite(steps) else 0


def _tiled(values: Values, sizes: Sequence[int], attributes: Mapping[str, Any]) -> int:
    return sizes[0] * prod(_whole(values, 1))


def _one_hot(values: Values, sizes: Sequence[int], attributes: Mapping[str, Any]) -> int:
    return sizes[0] * max([0, *_whole(values, 1)])


def _padded(values: Values, sizes: Sequence[int], attributes: Mapping[str, Any]) -> int:
    """Every axis is at least as long as its pads; what is cut off makes it shorter."""
    pads = _whole(values, 1)
    half = len(pads) // 2
    axes = (sum(pair) for pair in zip(pads[:half], pads[half:], strict=False))
    return max(sizes[0], prod(max(n, 1) for n in axes))


def _resized(values: Values, sizes: Sequence[int], attributes: Mapping[str, Any]) -> int:
    to = _whole(values, 3)
    if to:
        return prod(max(n, 1) for n in to)
    scales = values[2] if len(values) > 2 else None
    times = 1.0 if scales is None else float(np.prod(scales.astype(np.float64)))
    return int(sizes[0] * times) if np.isfinite(times) else 0


def _stated(values: Values, sizes: Sequence[int], attributes: Mapping[str, Any]) -> int:
    return prod(attributes.get("shape") or [1])


GROWS: dict[str, tuple[tuple[int, ...], Entries]] = {
    "AffineGrid": ((1,), _shape(1)),
    "BlackmanWindow": ((0,), _length(0)),
    "CenterCropPad": ((1,), _shape(1)),
    "Col2Im": ((1,), _shape(1)),
    "ConstantOfShape": ((0,), _shape(0)),
    "Expand": ((1,), _shape(1)),
    "HammingWindow": ((0,), _length(0)),
    "HannWindow": ((0,), _length(0)),
    "MaxUnpool": ((2,), _shape(2)),
    "MelWeightMatrix": ((0, 1), _length(0)),
    "OneHot": ((1,), _one_hot),
    "Pad": ((1,), _padded),
    "RandomNormal": ((), _stated),
    "RandomUniform": ((), _stated),
    "Range": ((0, 1, 2), _range),
    "Resize": ((2, 3), _resized),
    "Tile": ((1,), _tiled),
    "Upsample": ((1,), lambda v, s, a: _resized([v[0], None, *v[1:]], s, a)),
}
"""Operator -> the operands whose values say how much it makes, and how much that is.

They are the same under any domain. All others make no more than their operands' product.
"""


def loops(node: onnx.NodeProto) -> bool:
    """Whether a node goes round as often as its first operand says."""
    return node.op_type == "Loop"


def told(node: onnx.NodeProto) -> tuple[str, ...] | None:
    """Operands that say how much a node asks for; None of a node that cannot ask for much."""
    if loops(node):
        return tuple(name for name in node.input[:1] if name)
    if node.op_type not in GROWS:
        return None
    places, _ = GROWS[node.op_type]
    return tuple(node.input[i] for i in places if i < len(node.input) and node.input[i])


def entries(node: onnx.NodeProto, values: Values, sizes: Sequence[int]) -> int:
    """Entries that a node makes, or fewer; ``sizes`` are those of its operands."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return min(GROWS[node.op_type][1](values, sizes, attributes), ENDLESS)


def held(node: onnx.NodeProto) -> onnx.AttributeProto | None:
    """Where a Constant holds its value; None of other nodes, and of text."""
    kinds = ("value", "value_int", "value_ints", "value_float", "value_floats")
    named = (a for a in node.attribute if a.name in kinds)
    return next(named, None) if node.op_type == "Constant" else None


def sizes_after(nodes: Iterable[onnx.NodeProto], sizes: MutableMapping[str, int]) -> None:
    """Follow numbers of entries through nodes, none of which makes more than it says: in place.

    What is put together is as large as its parts, and all else as the largest of its operands.
    """
    for node in nodes:
        own = [sizes.get(name, 1) for name in node.input]
        for graph in subgraphs(node):
            inside = ChainMap[str, int]({}, sizes)
            sizes_after(graph.node, inside)
            own += [inside.get(output.name, 1) for output in graph.output]
        joins = node.op_type in ("Concat", "SequenceInsert", "SequenceConstruct")
        made = sum(own) if joins else max(own, default=1)
        for name in node.output:
            sizes.setdefault(name, made)
