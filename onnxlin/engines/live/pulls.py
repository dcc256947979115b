"""The adjoint of one map between live entries: which form it takes, chosen once for all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from onnxlin.engines.live.lines import lines
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.windows import windows
from onnxlin.primitives import Adjoint, Array, Conv, Diagonal, LinearMap, MatMul, Reshape, Select


class Pull(Protocol):
    """The adjoint of a map between live entries."""

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Add to cotangents of the input, ``(entries, K)``, what those of the output send.

        Where ``out`` is fresh, put it there, whatever there was.
        """


# Entries of a matrix for each live one on its sides, up to which it is multiplied as a sparse one.
FEW = 8


@dataclass(frozen=True, eq=False)
class Moved:
    """Entry ``target[i]``, in order, is read by ``source[i]`` alone; ``scale`` its factor.

    ``same`` says that the lines are those of the source, in order and unchanged: cotangents of the
    one array are those of the other.
    """

    source: Array
    target: Array
    scale: Array | None
    same: bool

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Gather the lines."""
        whole = len(self.target) == len(out)
        if fresh and whole:
            if self.same:
                np.copyto(out, G)
            else:  # "clip" alone writes without a copy between; no index is out of range
                np.take(G, self.source, axis=0, out=out, mode="clip")
            if self.scale is not None:
                out *= self.scale[:, None]
            return
        if fresh:
            out[...] = 0
        taken = G if self.same else G.take(self.source, axis=0)
        if self.scale is not None:
            taken = taken * self.scale[:, None]
        if whole:
            out += taken
        else:
            out[self.target] += taken


@dataclass(frozen=True, eq=False)
class Sparse:
    """A sparse matrix ``(target entries, source entries)``."""

    matrix: sp.csr_array

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """One product."""
        made = self.matrix @ G
        out[...] = made if fresh else out + made


@dataclass(frozen=True, eq=False)
class Dense:
    """Any map, by its adjoint over all of its entries, a few rows at a time."""

    op: LinearMap
    source: Places
    target: Places
    block: int

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Spread, go back, and take."""
        if fresh:
            out[...] = 0
        for start in range(0, G.shape[1], self.block):
            rows = slice(start, start + self.block)
            part = G[:, rows]
            full = np.zeros((part.shape[1], self.op.rows), G.dtype)
            full[:, self.source.flat] = part.T
            back = self.op.rmatvec(full.reshape(len(full), *self.op.out_shape))
            out[:, rows] += back.reshape(len(back), self.op.columns)[:, self.target.flat].T


def pull(op: LinearMap, source: Places, target: Places, dtype: np.dtype[Any]) -> Pull:
    """Choose how cotangents go from a map's live outputs back to its live inputs."""
    if op.fan_in <= 1 and not isinstance(op, Conv | MatMul | Adjoint):
        moved = _moved(op, source, target, dtype)
        if moved is not None:
            return moved
    if isinstance(op, MatMul) and source and target:
        return lines(op, source, target, dtype)
    found = windows(op, source, target, dtype)
    if found is not None:
        return found
    if op.nnz <= FEW * (op.rows + op.columns):
        matrix = op.to_sparse(dtype)[source.flat][:, target.flat]
        return Sparse(sp.csr_array(matrix.T))
    return Dense(op, source, target, max(1, 2**24 // max(op.rows + op.columns, 1)))


def _moved(op: LinearMap, source: Places, target: Places, dtype: np.dtype[Any]) -> Pull | None:
    """The map as a gather of lines, or as a sparse matrix where entries are read repeatedly."""
    scale = None
    if isinstance(op, Reshape | Diagonal):
        read = source.flat
        if isinstance(op, Diagonal):
            scale = np.broadcast_to(op.scale, op.in_shape).reshape(-1)[read].astype(dtype)
    elif isinstance(op, Select):
        read = op.index.reshape(-1)[source.flat]
    else:
        matrix = op.to_sparse(dtype)
        read = np.full(op.rows, -1, np.int64)
        some = np.diff(matrix.indptr) > 0
        read[some] = matrix.indices
        scale = np.zeros(op.rows, dtype)
        scale[some] = matrix.data
        read, scale = read[source.flat], scale[source.flat]
    line = np.where(read >= 0, target.line[read], -1)
    kept = np.flatnonzero(line >= 0)
    line = line[kept]
    if scale is not None:
        scale = scale[kept]
        scale = None if (scale == 1).all() else scale
    counts = np.bincount(line, minlength=len(target))
    if counts.max(initial=0) > 1:
        data = np.ones(len(kept), dtype) if scale is None else scale
        return Sparse(sp.csr_array((data, (line, kept)), shape=(len(target), len(source))))
    order = np.argsort(line)
    kept, line = kept[order], line[order]
    scale = None if scale is None else scale[order]
    whole = len(kept) == len(source) == len(target)
    same = whole and bool((kept == np.arange(len(kept))).all())
    return Moved(kept, line, scale, same)
