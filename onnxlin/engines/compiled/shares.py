"""Shares of ``seeds @ b``: every node's bias against the cotangents of its output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.lowering import Emitter, Scaled, Stack, Traced, is_traced, summed, tensor
from onnxlin.program import finite

# Biases up to this size are multiplied many at a time; larger ones would only be copied for it.
SMALL = 2**12
# Entries of a matrix of all biases that costs less than a few nodes do.
BLOCKS = 2**15


@dataclass(frozen=True, eq=False)
class Part:
    """``sign * <cotangent, bias>``, a part of a node's share."""

    node: str
    sign: int
    cotangent: Stack
    bias: Any


class Shares:
    """Collects biases and cotangents, and writes their products.

    A recurrent node has a bias for every step in time, and a deep net one for every layer: those
    of equal size cost one product together.
    """

    def __init__(self, graph: Emitter) -> None:
        self._graph = graph
        self._groups: dict[Any, list[Part]] = {}

    def add(self, node: str, name: str, cotangent: Stack, bias: Any) -> None:
        """Note a bias that broadcasts to the shape of the cotangents of a tensor."""
        sign, cotangent, bias = reduced(cotangent, bias)
        if not sign:
            return
        if not is_line(cotangent, bias):
            cotangent, bias = _summed(cotangent, bias)
        key = (cotangent.layout[1], bias.shape) if _is_small(cotangent) else len(self._groups)
        self._groups.setdefault(key, []).append(Part(node, sign, cotangent, bias))

    @property
    def biases(self) -> set[str]:
        """Tensors that the products will read."""
        parts = (part for group in self._groups.values() for part in group)
        return {part.bias.name for part in parts if is_traced(part.bias)}

    def written(self) -> tuple[tuple[str, ...], str]:
        """Write the products: the nodes that have a share, and the tensor (K, nodes)."""
        for group in self._groups.values():
            group.sort(key=self._bias_place)
        fixed = self._fixed()
        nodes = list(dict.fromkeys(part.node for part in fixed))
        columns = [(node, 1) for node in nodes]
        products = [self._at_once(fixed, nodes)] if fixed else []
        for group in self._groups.values():
            left = [part for part in group if part not in fixed]
            if left:
                products.append(self._products(left))
                columns += [(part.node, part.sign) for part in left]
        name = self._graph("Concat", *products, axis=1) if len(products) > 1 else products[0]
        nodes = list(dict.fromkeys(node for node, _ in columns))
        if len(nodes) < len(columns) or any(sign < 0 for _, sign in columns):
            belongs = [[sign * (node == other) for node in nodes] for other, sign in columns]
            name = self._graph("MatMul", name, self._graph.floats(belongs))
        return tuple(nodes), name

    def _fixed(self) -> list[Part]:
        """Constant biases of a net so small that one product with a matrix of them is nothing."""
        parts = [part for group in self._groups.values() for part in group]
        found = [part for part in parts if not is_traced(part.bias) and _is_small(part.cotangent)]
        size = sum(part.bias.size for part in found) * len(found)
        return found if len(found) > 1 and size <= BLOCKS else []

    def _at_once(self, parts: list[Part], nodes: list[str]) -> str:
        """``[cotangents] @ [biases, each in the column of its node]``: a tensor (K, nodes)."""
        names, at = [], 0
        matrix = np.zeros((sum(part.bias.size for part in parts), len(nodes)))
        for part in parts:
            names.append(part.cotangent.flat)
            matrix[at : at + part.bias.size, nodes.index(part.node)] = part.sign * part.bias.ravel()
            at += part.bias.size
        graph = self._graph
        return graph("MatMul", graph("Concat", *names, axis=1), graph.floats(matrix))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def _bias_place(self, part: Part) -> tuple[str, int]:
        """Put biases that were cut out of one tensor next to each other."""
        return self._graph.cut_from(part.bias.name) if is_traced(part.bias) else ("", 0)

    def _products(self, group: list[Part]) -> str:
        """``<cotangent, bias>`` for arrays of one shape: a tensor (K, len(group))."""
        graph, first, n = self._graph, group[0], prod(group[0].cotangent.shape)
        if len(group) == 1 and n > SMALL:
            # Measured with onnxruntime 1.32: twice as fast as the product with a column, and six
            # times as fast as first summing the lines that a bias of one line meets.
            length = first.bias.size
            row = tensor(graph, first.bias.reshape(1, length), graph.dtype)
            lines = first.cotangent.in_layout(n // length, (length,))
            found = graph("Gemm", row, lines, transB=1)
            if not (graph.single and length == n):
                found = graph("Reshape", found, graph.ints([-1, n // length]))
            return graph("ReduceSum", found, graph.ints([1]), keepdims=1) if length < n else found
        if len(group) == 1:
            column = tensor(graph, first.bias.reshape(n, 1), graph.dtype)
            return graph("MatMul", first.cotangent.flat, column)
        lead = (-1, *first.bias.shape[1:])
        named = [tensor(graph, part.bias.reshape(lead), graph.dtype) for part in group]
        biases = graph("Reshape", graph.joined(named), graph.ints([len(group), n]))
        # Many biases meet the same cotangent, that of a step in time.
        names = [part.cotangent.applied.name for part in group]
        apart = list(dict.fromkeys(names))
        side_by_side = graph("Concat", *apart, axis=1) if len(apart) > 1 else apart[0]
        rows = graph("Reshape", side_by_side, graph.ints([-1, len(apart), n]))
        if len(apart) < len(names):
            rows = graph("Gather", rows, graph.ints([apart.index(m) for m in names]), axis=1)
        return graph("ReduceSum", graph("Mul", rows, biases), graph.ints([2]), keepdims=0)


def _is_small(cotangent: Stack) -> bool:
    """Whether a line of it holds a row's whole cotangent, of few entries."""
    merged, rest = cotangent.layout
    return merged == 1 and bool(rest) and prod(rest) <= SMALL


def reduced(cotangent: Stack, bias: Any) -> tuple[int, Stack, Any]:
    """Take signs out of a product, and give the bias the axes of the cotangent.

    Where it repeats itself it keeps one entry.

    Returns
    -------
    (sign, cotangent, bias); the sign is 0 where the product is.
    """
    if not is_traced(bias):
        bias = finite(bias)
        if not bias.any():
            return 0, cotangent, bias
    sign, bias = _signed(bias)
    if cotangent.negative:
        sign, cotangent = -sign, cotangent.negated
    if isinstance(cotangent, Scaled) and is_traced(bias) and bias.size >= cotangent.factor.size:
        # The cotangent without its factor is there already; what is the product for all K rows
        # is that of the bias for one x. A bias that repeats itself would grow.
        bias, cotangent = bias * cotangent.factor, cotangent.laid
    return sign, cotangent, _unrepeated(bias, len(cotangent.shape))


def _signed(bias: Any) -> tuple[int, Any]:
    """Take the sign of a bias that a graph has as the negative of something."""
    made = bias.emitter.maker(bias.name) if is_traced(bias) else None
    if made is None or made.op_type != "Neg":
        return 1, bias
    return -1, Traced(bias.emitter, made.input[0], -bias.example)


def _unrepeated(bias: Any, rank: int) -> Any:
    """Give a bias so many axes, of length 1 where it repeats itself."""
    bias = bias.reshape((1,) * (rank - bias.ndim) + bias.shape)
    if is_traced(bias):
        return bias
    return bias[tuple(slice(0, 1) if n == 0 else slice(None) for n in bias.strides)]


def is_line(cotangent: Stack, bias: Any) -> bool:
    """Whether a large cotangent meets the same bias in every line along the last axis."""
    shape = cotangent.shape
    return prod(shape) > SMALL and bias.size == bias.shape[-1] == shape[-1] > 1


def _summed(cotangent: Stack, bias: Any) -> tuple[Stack, Any]:
    """Sum first along the axes on which the bias repeats itself."""
    rank = len(cotangent.shape)
    if not rank:
        return cotangent.reshaped((1,)), bias.reshape(1)
    pairs = zip(bias.shape, cotangent.shape, strict=True)
    axes = tuple(i for i, (n, m) in enumerate(pairs) if n != m)
    if cotangent.emitter.single and rank == 4 and axes == (2, 3) and cotangent.shape[0] == 1:
        # A mean may stay in the layout that convolutions work in; a sum may not.
        mean = cotangent.emitter("GlobalAveragePool", cotangent.rows_merged)
        kept, size = (*cotangent.shape[:2], 1, 1), prod(cotangent.shape[2:])
        return cotangent.as_rows_merged(mean, kept), bias * bias.dtype.type(size)
    return summed(cotangent, axes), bias
