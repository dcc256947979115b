"""Shares of ``seeds @ b``: every node's bias against the cotangents of its output."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from onnxlin.lowering import Emitter, Stack, is_traced, tensor
from onnxlin.program import finite

# Biases up to this size are multiplied many at a time; larger ones would only be copied for it.
SMALL = 2**14


class Shares:
    """Collects biases and cotangents, and writes their products.

    A recurrent node has a bias for every step in time, and a deep net one for every layer: those
    of equal size cost one product together.
    """

    def __init__(self, graph: Emitter) -> None:
        self._graph = graph
        self._groups: dict[Any, list[tuple[str, Stack, Any]]] = {}

    def add(self, node: str, cotangent: Stack, bias: Any) -> None:
        """Note a bias that broadcasts to the shape of the cotangents."""
        if not is_traced(bias):
            bias = finite(bias)
            if not bias.any():
                return
        cotangent, bias = _summed(cotangent, bias)
        small = cotangent.merged == 1 and cotangent.rest and prod(cotangent.rest) <= SMALL
        key = (cotangent.rest, bias.shape) if small else len(self._groups)
        self._groups.setdefault(key, []).append((node, cotangent, bias))

    def written(self) -> tuple[tuple[str, ...], str]:
        """Write the products: the nodes that have a share, and the tensor (K, nodes)."""
        columns, parts = [], []
        for group in self._groups.values():
            columns += [node for node, _, _ in group]
            parts.append(self._products(group))
        name = self._graph("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        nodes = tuple(dict.fromkeys(columns))
        if len(nodes) < len(columns):
            belongs = np.array([[node == column for node in nodes] for column in columns])
            name = self._graph("MatMul", name, self._graph.floats(belongs))
        return nodes, name

    def __bool__(self) -> bool:
        return bool(self._groups)

    def _products(self, group: list[tuple[str, Stack, Any]]) -> str:
        """``<cotangent, bias>`` for arrays of one shape: a tensor (K, len(group))."""
        graph, (_, first, bias), n = self._graph, group[0], prod(group[0][1].shape)
        if len(group) == 1:
            column = tensor(graph, bias.reshape(n, 1), graph.dtype)
            return graph("MatMul", first.flat, column)
        joined = np.concatenate([b for _, _, b in group], axis=0)
        biases = tensor(graph, joined.reshape(len(group), n), graph.dtype)
        side_by_side = graph("Concat", *(c.name for _, c, _ in group), axis=1)
        rows = graph("Reshape", side_by_side, graph.ints([-1, len(group), n]))
        return graph("ReduceSum", graph("Mul", rows, biases), graph.ints([2]), keepdims=0)


def _summed(cotangent: Stack, bias: Any) -> tuple[Stack, Any]:
    """Sum first along the axes on which the bias repeats itself."""
    rank = len(cotangent.shape)
    if not rank:
        return cotangent.reshaped((1,)), bias.reshape(1)
    bias = bias.reshape((1,) * (rank - bias.ndim) + bias.shape)
    if not is_traced(bias):
        bias = bias[tuple(_repeating(bias))]
    pairs = zip(bias.shape, cotangent.shape, strict=True)
    axes = tuple(i for i, (n, m) in enumerate(pairs) if n != m)
    if cotangent.emitter.single and rank == 4 and axes == (2, 3) and cotangent.shape[0] == 1:
        # A mean may stay in the layout that convolutions work in; a sum may not.
        mean = cotangent.emitter("GlobalAveragePool", cotangent.samples)
        kept = (*cotangent.shape[:2], 1, 1)
        return cotangent.as_samples(mean, kept), bias * bias.dtype.type(prod(cotangent.shape[2:]))
    return cotangent.summed(axes), bias


def _repeating(bias: Any) -> Iterator[slice]:
    """Take one entry of the axes along which an array has been broadcast."""
    for stride in bias.strides:
        yield slice(0, 1) if stride == 0 else slice(None)
