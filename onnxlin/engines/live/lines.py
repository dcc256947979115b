"""Products with a matrix, line by line of the tensor: the live part of the matrix for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.live.cost import products
from onnxlin.engines.live.gemm import Product
from onnxlin.engines.live.places import Places
from onnxlin.primitives import Array, MatMul


@dataclass(frozen=True, eq=False)
class Blocks:
    """Dense blocks between lines of the source and lines of the target.

    Parameters
    ----------
    parts : tuple of (matrix (k, m), source lines, target lines)
        Lines as a slice where they lie side by side.
    """

    parts: tuple[tuple[Array, Any, Any], ...]

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """One product for each block."""
        if fresh:
            out[...] = 0
        whole = Product(G, out)
        for matrix, rows, columns in self.parts:
            if not isinstance(columns, slice):
                out[columns] += matrix.T @ G[rows]
            elif isinstance(rows, slice):
                whole(matrix, rows.start, rows.stop, columns.start, columns.stop)
            else:
                Product(G[rows], out)(matrix, 0, len(rows), columns.start, columns.stop)

    def seconds(self, rows: int) -> float:
        """By the multiplications."""
        sizes = np.array([matrix.shape for matrix, *_ in self.parts]).reshape(-1, 2)
        return products(sizes[:, 1], sizes[:, 0], rows)


def lines(op: MatMul, source: Places, target: Places, dtype: np.dtype[Any]) -> Blocks:
    """Cut a product into blocks, one for each line along the axis that is contracted."""
    return Blocks(tuple(_parts(op, source, target, dtype)))


def _parts(
    op: MatMul, source: Places, target: Places, dtype: np.dtype[Any]
) -> Iterator[tuple[Array, Any, Any]]:
    """Give ``(matrix (k live outputs, m live inputs), their lines)`` of each block."""
    aligned = (1,) * (len(op.out_shape) - len(op.in_shape)) + op.in_shape
    batch = op.out_shape[:-2]
    ins = np.broadcast_to(target.line.reshape(aligned), (*batch, *aligned[-2:]))
    outs = source.line.reshape(op.out_shape)
    matrix = np.broadcast_to(op.matrix, (*batch, *op.matrix.shape[-2:]))
    if op.left:  # y = M x: columns of x are its lines
        ins, outs = np.swapaxes(ins, -1, -2), np.swapaxes(outs, -1, -2)
        matrix = np.swapaxes(matrix, -1, -2)
    ins = ins.reshape(prod(batch), *ins.shape[-2:])
    outs = outs.reshape(prod(batch), *outs.shape[-2:])
    # y[line] = x[line] @ matrix, (i) -> (o).
    for b, at in enumerate(np.ndindex(*batch)):
        for line in range(outs.shape[1]):
            o, i = np.flatnonzero(outs[b, line] >= 0), np.flatnonzero(ins[b, line] >= 0)
            if len(o) and len(i):
                part = matrix[at]
                part = part if len(i) == len(part) else part[i]
                part = part if len(o) == part.shape[1] else part[:, o]
                block = np.ascontiguousarray(part.T, dtype)
                yield block, _slice(outs[b, line][o]), _slice(ins[b, line][i])


def _slice(index: Array) -> Any:
    """Lines as a slice, where they lie side by side."""
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if np.array_equal(index, np.arange(first, last + 1)) else index
