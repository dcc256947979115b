"""Add entries up at positions that only a run knows.

Measured with onnxruntime 1.32: one row scatters fastest entry by entry. Of many rows each does so
as well where it is large, and stays in the cache; small ones are fastest with the rows of one
position side by side. Where no position repeats, MaxUnpool has less to do than either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, final

import numpy as np
import onnx

from onnxlin.lowering.peephole import pooled_number
from onnxlin.lowering.stack import Laid, Shape, Stack
from onnxlin.lowering.traced import Traced, tensor

# Entries of a row from which on rows are scattered one after another: four rows take as long either
# way, 50 rows half as long. Of fewer entries the turns of a loop count.
LARGE = 2**16


@final
@dataclass(frozen=True)
class Scattered(Stack):
    """K arrays of zeros to which entries are still to be added.

    A factor meets the entries, of which there are fewer, and not the zeros.

    Parameters
    ----------
    entries : Stack
        K arrays of the index's shape.
    index : traced array
        Where in an array of ``shape`` each entry belongs.
    distinct : bool
        Whether no position repeats.
    """

    entries: Stack
    index: Any
    distinct: bool

    @cached_property
    def applied(self) -> Laid:
        """The sums, as a tensor."""
        size = prod(self.shape)
        place = self.index.reshape(self.index.size)
        name = scattered(self.entries, place, size, distinct=self.distinct)
        return self.as_layout(name, self.shape, 1, (size,))

    @property
    def layout(self) -> tuple[int, Shape]:
        """One line a row."""
        return 1, (prod(self.shape),)

    @property
    def negative(self) -> bool:
        """Never: the sign of the entries is written with them."""
        return False

    @property
    def negated(self) -> Scattered:
        """The negatives of the entries, still to be added up."""
        return replace(self, entries=self.entries.negated)

    def multiplied(self, factor: Any) -> Stack:
        """Multiply the entries by what the factor is at their positions."""
        there = self._taken(factor)
        if there is None:
            return self.applied.multiplied(factor)
        return replace(self, entries=self.entries.times(there))

    def _taken(self, factor: Any) -> Traced | None:
        """A factor at the positions of the entries; None where that is no less to compute."""
        if not isinstance(factor, Traced) or factor.shape != self.shape:
            return None
        graph, place = self.emitter, self.index.example
        name = pooled_number(graph, factor.name, self.index.name)
        if name is None:
            if graph.single:  # its own product is as little as taking the factor's entries
                return None
            flat = factor.reshape(factor.size)
            name = graph("Gather", flat.name, tensor(graph, self.index, np.int64), axis=0)
        return Traced(graph, name, factor.example.reshape(-1)[place])


def scattered(y: Stack, index: Any, size: int, *, distinct: bool) -> str:
    """Write ``x[k, index[i]] += y[k, i]``: a tensor (K, size).

    Parameters
    ----------
    index : integer array or traced array (n,)
    distinct : bool
        Whether no position repeats.
    """
    graph = y.emitter
    if distinct and graph.dtype == np.float32:
        return _unpooled(y, index, size)
    if graph.single:
        place = tensor(graph, index.reshape(1, index.size), np.int64)
        return graph("ScatterElements", y.zeros(size), place, y.flat, axis=1, reduction="add")
    if size >= LARGE:
        return _one_by_one(y, index, size)
    place = tensor(graph, index.reshape(index.size, 1), np.int64)
    entries = graph("Transpose", y.flat, perm=[1, 0])
    added = graph("ScatterND", y.zeros(size, turned=True), place, entries, reduction="add")
    return graph("Transpose", added, perm=[1, 0])


def _one_by_one(y: Stack, index: Any, size: int) -> str:
    """Scatter each row in a turn of its own."""
    graph, helper = y.emitter, onnx.helper
    place = tensor(graph, index, np.int64)
    zero = onnx.numpy_helper.from_array(np.zeros(1, graph.dtype))
    zeros = graph("ConstantOfShape", graph.ints([size]), value=zero)
    row, sums = graph.fresh("row"), graph.fresh("sums")
    kind = int(helper.np_dtype_to_tensor_dtype(graph.dtype))
    add = helper.make_node("ScatterElements", [zeros, place, row], [sums], axis=0, reduction="add")
    given, made = (
        helper.make_tensor_value_info(name, kind, [n])
        for name, n in ((row, index.size), (sums, size))
    )
    body = helper.make_graph([add], "turn", [given], [made])
    return graph("Scan", y.flat, body=body, num_scan_inputs=1)


def _unpooled(y: Stack, index: Any, size: int) -> str:
    """MaxUnpool counts positions through all of its output, so each row has an offset.

    The kernel is as wide as makes that output ``size`` entries a row. By an output shape alone
    onnxruntime does the same, but the specification counts positions before it is applied.
    """
    graph, n = y.emitter, index.size
    rows = graph("Shape", y.flat, start=0, end=1)
    place = tensor(graph, index.reshape(1, n), np.int64)
    if not graph.single:
        first, step = graph.constant(np.array(0)), graph.constant(np.array(1))
        count = graph("Squeeze", rows)
        each = graph("Mul", graph("Range", first, count, step), graph.constant(np.array(size)))
        place = graph("Add", place, graph("Reshape", each, graph.ints([-1, 1])))
    box = graph.ints([0, 1, 1, n])
    laid = [graph("Reshape", name, box) for name in (y.flat, place)]
    full = graph("MaxUnpool", *laid, kernel_shape=[1, size - n + 1], strides=[1, 1])
    return graph("Reshape", full, graph.ints([0, size]))
