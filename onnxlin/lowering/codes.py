"""Quantising and dequantising spelt out as arithmetic, which no optimiser takes for a pair.

Graph optimisers of runtimes know ``DequantizeLinear -> operator -> QuantizeLinear``, and pairs of
such pairs. They put one operator on integers in their place, or one pair, whose results are not
those of the nodes: off by a step, and more. What is spelt out they leave as it is, and it is to the
last bit what the kernels compute (onnxruntime's ``MlasQuantizeLinear``): in float32, rounded half
to even, after the cut to the range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx

from onnxlin.lowering.emitter import Array, Emitter

FLOAT = np.dtype(np.float32)
# Their sums with a zero point are exact in float32.
CODES = frozenset(map(np.dtype, (np.uint8, np.int8, np.uint16, np.int16)))


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor: its name and type, its value where it is constant, and the shape to lay it out."""

    name: str
    dtype: np.dtype[Any]
    value: Array | None = None
    line: tuple[int, ...] | None = None


class Codebook(NamedTuple):
    """What one code more is worth, and the code of the number 0; without one that is 0."""

    scale: Operand
    zero: Operand | None


def dequantised(graph: Emitter, q: Operand, book: Codebook, to: str) -> None:
    """Write ``(q - zero) scale`` as the tensor ``to``, of the type of the scale."""
    scale, zero = book
    number = graph.cast(q.name, q.dtype, FLOAT)
    if zero is not None and not _is_nothing(zero):
        number = graph("Sub", number, _float(graph, zero))
    if scale.dtype == FLOAT:
        graph.add(onnx.helper.make_node("Mul", [number, _float(graph, scale)], [to]))
    else:
        _cast(graph, graph("Mul", number, _float(graph, scale)), scale.dtype, to)


def quantised(graph: Emitter, x: Operand, book: Codebook, codes: np.dtype[Any], to: str) -> None:
    """Write ``clip(round(x / scale) + zero)`` as the tensor ``to``, of the type ``codes``."""
    scale, zero = book
    steps = graph("Div", graph.cast(x.name, x.dtype, FLOAT), _float(graph, scale))
    info = np.iinfo(codes)
    low, high = (np.asarray(n, FLOAT) for n in (info.min, info.max))
    shifted = zero is not None and not _is_nothing(zero)
    if not shifted:
        steps = graph("Clip", steps, graph.constant(low), graph.constant(high))
        _cast(graph, graph("Round", steps), codes, to)
        return
    assert zero is not None
    middle = _float(graph, zero)
    if zero.value is not None and zero.value.size == 1:
        ends = (graph.constant(end - zero.value.astype(FLOAT).reshape(())) for end in (low, high))
        steps = graph("Clip", steps, *ends)
    else:
        steps = graph("Max", steps, graph("Sub", graph.constant(low), middle))
        steps = graph("Min", steps, graph("Sub", graph.constant(high), middle))
    _cast(graph, graph("Add", graph("Round", steps), middle), codes, to)


def _is_nothing(operand: Operand) -> bool:
    return operand.value is not None and not operand.value.any()


def _float(graph: Emitter, operand: Operand) -> str:
    """A scale or zero point in float32, laid out."""
    if operand.value is not None:
        value = operand.value.astype(FLOAT)
        return graph.constant(value if operand.line is None else value.reshape(operand.line))
    name = graph.cast(operand.name, operand.dtype, FLOAT)
    return name if operand.line is None else graph("Reshape", name, graph.ints(operand.line))


def _cast(graph: Emitter, name: str, dtype: np.dtype[Any], to: str) -> None:
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(dtype))
    graph.add(onnx.helper.make_node("Cast", [name], [to], to=kind))
