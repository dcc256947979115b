"""Shares of ``seeds @ b`` of every instance, where instances lie side by side along an axis."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from onnxlin.engines.compiled.shares import is_line, reduced
from onnxlin.lowering import Emitter, NotStaticError, Stack, summed, tensor


class InstanceShares:
    """Collects biases and cotangents, and writes their products instance by instance.

    Parameters
    ----------
    graph : Emitter
    axes : {tensor name: axis}
        Along which the instances lie.
    """

    def __init__(self, graph: Emitter, axes: Mapping[str, int]) -> None:
        self._graph = graph
        self._axes = axes
        self._columns: dict[str, str] = {}

    def add(self, node: str, name: str, cotangent: Stack, bias: Any) -> None:
        """Note a bias that broadcasts to the shape of the cotangents of a tensor."""
        if name not in self._axes:
            raise NotStaticError(f"instances lie along no known axis of {name!r}")
        graph, axis = self._graph, self._axes[name]
        sign, cotangent, bias = reduced(cotangent, bias)
        if not sign:
            return
        column = self._products(axis, cotangent, bias)
        if node in self._columns:
            self._columns[node] = graph("Add" if sign > 0 else "Sub", self._columns[node], column)
        else:
            self._columns[node] = column if sign > 0 else graph("Neg", column)

    def _products(self, axis: int, cotangent: Stack, bias: Any) -> str:
        """``<cotangent, bias>`` of every instance: a tensor (K, instances)."""
        graph, shape = self._graph, cotangent.shape
        if is_line(cotangent, bias) and axis < len(shape) - 1:
            row = tensor(graph, bias.reshape(1, shape[-1]), graph.dtype)
            lines = cotangent.in_layout(prod(shape[:-1]), shape[-1:])
            found = graph("Gemm", row, lines, transB=1)
            return self._summed(
                graph("Reshape", found, graph.ints([-1, *shape[:-1]])), axis, shape[:-1]
            )
        alone = tuple(i for i, n in enumerate(bias.shape) if n == 1 < shape[i] and i != axis)
        cotangent = summed(cotangent, alone)
        found = graph("Mul", cotangent.per_row, tensor(graph, bias, graph.dtype))
        return self._summed(found, axis, cotangent.shape)

    def _summed(self, name: str, axis: int, shape: tuple[int, ...]) -> str:
        """Sum over all axes but those of K and of the instances."""
        gone = [i + 1 for i in range(len(shape)) if i != axis]
        return self._graph("ReduceSum", name, self._graph.ints(gone), keepdims=0) if gone else name

    def written(self) -> tuple[tuple[str, ...], str]:
        """Put the products side by side: the nodes, and the tensor (K, instances, nodes)."""
        graph = self._graph
        columns = [graph("Unsqueeze", name, graph.ints([2])) for name in self._columns.values()]
        name = graph("Concat", *columns, axis=2) if len(columns) > 1 else columns[0]
        return tuple(self._columns), name

    @property
    def biases(self) -> set[str]:
        """None that waits: products are written at once."""
        return set()

    def __bool__(self) -> bool:
        return bool(self._columns)
