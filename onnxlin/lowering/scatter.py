"""Add entries up at positions that only a run knows.

Measured with onnxruntime 1.32: one row scatters fastest entry by entry; many rows do with the rows
of one position side by side. Where no position repeats, MaxUnpool has less to do than either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.lowering.stack import Stack
from onnxlin.lowering.traced import tensor


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
    place = tensor(graph, index.reshape(index.size, 1), np.int64)
    entries = graph("Transpose", y.flat, perm=[1, 0])
    added = graph("ScatterND", y.zeros(size, turned=True), place, entries, reduction="add")
    return graph("Transpose", added, perm=[1, 0])


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
