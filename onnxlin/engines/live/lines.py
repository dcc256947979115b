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

# Lines of an array: all, or those of an index.
Some = Array | None


@dataclass(frozen=True, eq=False)
class Blocks:
    """Dense blocks between lines of the source and lines of the target.

    Parameters
    ----------
    parts : tuple of (matrix, its rows, its columns, source lines, target lines)
        The part of the matrix that is live is taken when it is multiplied: lines of tokens share a
        matrix. Lines are a slice where they lie side by side.
    """

    parts: tuple[tuple[Array, Some, Some, Any, Any], ...]

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """One product for each block."""
        if fresh:
            out[...] = 0
        whole = Product(G, out)
        for matrix, o, i, rows, columns in self.parts:
            part, across = _part(matrix, o, i)
            if not isinstance(columns, slice):
                out[columns] += part.T @ G[rows]
            elif isinstance(rows, slice):
                whole(part, rows.start, rows.stop, columns.start, columns.stop, across=across)
            else:
                few = Product(G[rows], out)
                few(part, 0, len(rows), columns.start, columns.stop, across=across)

    @property
    def table_bytes(self) -> int:
        """Bytes of the matrices, or of as much as is taken of them."""
        return sum({id(matrix): matrix.nbytes for matrix, *_ in self.parts}.values())

    def seconds(self, rows: int) -> float:
        """By the multiplications."""
        k = np.array([len(matrix) if o is None else len(o) for matrix, o, *_ in self.parts])
        m = np.array([matrix.shape[1] if i is None else len(i) for matrix, _, i, *_ in self.parts])
        return products(m, k, rows)


def _part(matrix: Array, o: Some, i: Some) -> tuple[Array, bool]:
    """Some rows and columns of a matrix, and whether its columns are what lies side by side."""
    if matrix.flags.c_contiguous:
        part = matrix if o is None else matrix.take(o, 0)
        return part if i is None else part.take(i, 1), False
    turned = matrix.T if i is None else matrix.T.take(i, 0)
    return (turned if o is None else turned.take(o, 1)).T, True


def lines(op: MatMul, source: Places, target: Places, dtype: np.dtype[Any]) -> Blocks:
    """Cut a product into blocks, one for each line along the axis that is contracted."""
    return Blocks(tuple(_parts(op, source, target, dtype)))


def _parts(
    op: MatMul, source: Places, target: Places, dtype: np.dtype[Any]
) -> Iterator[tuple[Array, Some, Some, Any, Any]]:
    """Give ``(matrix (k outputs, m inputs), the live of both, their lines)`` of each block."""
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
    # y[line] = x[line] @ matrix, (i) -> (o). To turn a large one round would take as long as rows.
    turned: dict[int, Array] = {}
    for b, at in enumerate(np.ndindex(*batch)):
        where = matrix[at].__array_interface__["data"][0]
        for line in range(outs.shape[1]):
            o, i = np.flatnonzero(outs[b, line] >= 0), np.flatnonzero(ins[b, line] >= 0)
            if len(o) and len(i):
                if where not in turned:
                    turned[where] = _lying(matrix[at].T, dtype)
                block = turned[where]
                some = (
                    None if len(each) == n else each
                    for each, n in zip((o, i), block.shape, strict=True)
                )
                yield block, *some, _slice(outs[b, line][o]), _slice(ins[b, line][i])


def _lying(matrix: Array, dtype: np.dtype[Any]) -> Array:
    """A matrix as it lies, one way round or the other, if it lies without gaps."""
    flags = matrix.flags
    if matrix.dtype == dtype and (flags.c_contiguous or flags.f_contiguous):
        return matrix
    return np.ascontiguousarray(matrix, dtype)


def _slice(index: Array) -> Any:
    """Lines as a slice, where they lie side by side."""
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if np.array_equal(index, np.arange(first, last + 1)) else index
