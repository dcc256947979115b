"""Which nodes between numbers and codes a graph spells out, and with what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx

from onnxlin.graph import Array, Graph, Node
from onnxlin.lowering import Emitter
from onnxlin.lowering.codes import CODES, FLOAT, Codebook, Operand, dequantised, quantised
from onnxlin.operators.quantisation import to_codes
from onnxlin.primitives import Shape

NUMBERS = (FLOAT, np.dtype(np.float16))


class Known(NamedTuple):
    """What is known of tensors: examples of them, and the values of those that x does not move."""

    example: Callable[[str], Array | None]
    value: Callable[[str], Array | None]


def spell_out(emitter: Emitter, graph: Graph, node: Node, known: Known) -> bool:
    """Write a node that quantises or dequantises as arithmetic; False for all that stay nodes.

    Stay do those of other operators, of blocks, and of types that the arithmetic is not exact in.
    """
    forth = to_codes(node)
    if forth is None or len(node.writes) != 1:
        return False
    given, made = (_dtype(graph, known, name) for name in (node.inputs[0], node.outputs[0]))
    shape = _shape(known, node)
    scale, zero = (_operand(graph, known, node, i, shape) for i in (1, 2))
    if given is None or made is None or scale is None or scale.dtype not in NUMBERS:
        return False
    if zero is None and len(node.inputs) > 2 and node.inputs[2]:
        return False
    x, book = Operand(node.inputs[0], given), Codebook(scale, zero)
    if forth and given in NUMBERS and made in CODES:
        quantised(emitter, x, book, made, node.outputs[0])
        return True
    # Codes of 32 bits come with the zero point 0 alone.
    if not forth and given in (*CODES, np.dtype(np.int32)) and made == scale.dtype:
        dequantised(emitter, x, book, node.outputs[0])
        return True
    return False


def _operand(graph: Graph, known: Known, node: Node, i: int, shape: Shape | None) -> Operand | None:
    """A scale or zero point; None where there is none, or no telling how it is laid out."""
    name = node.inputs[i] if i < len(node.inputs) else ""
    example, dtype = known.example(name), _dtype(graph, known, name)
    if not name or dtype is None or example is None:
        return None
    if example.size == 1:
        return Operand(name, dtype, known.value(name), None if example.ndim == 0 else ())
    if shape is None or example.ndim != 1:
        return None
    axis = node.attributes.get("axis")
    axis = (1 if axis is None else axis) % len(shape)
    line = tuple(n if k == axis else 1 for k, n in enumerate(shape))
    return Operand(name, dtype, known.value(name), line) if line[axis] == example.size else None


def _shape(known: Known, node: Node) -> Shape | None:
    for name in (node.inputs[0], node.outputs[0]):
        example = known.example(name)
        if example is not None:
            return example.shape
    return None


def _dtype(graph: Graph, known: Known, name: str) -> np.dtype[Any] | None:
    example, kind = known.example(name), graph.elem_types.get(name)
    if example is not None:
        return example.dtype
    return onnx.helper.tensor_dtype_to_np_dtype(kind) if kind else None
