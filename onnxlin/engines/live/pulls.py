"""The adjoint of one map between live entries: which form it takes, chosen once for all rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from onnxlin.engines.live.dense import Dense
from onnxlin.engines.live.grouped import groups
from onnxlin.engines.live.lines import lines
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.threads import spread
from onnxlin.engines.live.windows import windows
from onnxlin.primitives import (
    Adjoint,
    Array,
    Crop,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Select,
    Transpose,
)


class Pull(Protocol):
    """The adjoint of a map between live entries."""

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Add to cotangents of the input, ``(entries, K)``, what those of the output send.

        Where ``out`` is fresh, put it there, whatever there was.
        """

    def seconds(self, rows: int) -> float:
        """Estimate the products for so many rows, beside reading and writing the lines."""


# Entries of a matrix for each live one on its sides, up to which it is multiplied as a sparse one.
FEW = 8
# Lines that are added up in one, up to which they are gathered.
ROUNDS = 8
# Entries of a sparse matrix that a second is enough for.
SPARSE = 2.5e9
# Lines that a sparse product makes at once.
LINES = 1024


@dataclass(frozen=True, eq=False)
class Moved:
    """Line ``target[i]`` takes line ``source[i]``, times ``scale[i]`` where there is a scale.

    Parameters
    ----------
    source : int array (n,)
    target : int array (n,) or None
        No line twice, ascending; None stands for all, in order.
    scale : array (n,) or None
    same : bool
        Whether the lines are those of the source, all of them in order and unchanged: cotangents of
        the one array are those of the other.
    """

    source: Array
    target: Array | None
    scale: Array | None
    same: bool = False

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Gather the lines, a few at a time and by several threads."""
        if fresh and not len(self.source):
            out[...] = 0
        spread(partial(self._move, G, out, fresh), len(self.source), G.shape[1] * G.itemsize)

    def seconds(self, rows: int) -> float:
        """Nothing is multiplied that counts."""
        return 0.0

    def _move(self, G: Array, out: Array, fresh: bool, part: slice) -> None:
        scale = None if self.scale is None else self.scale[part, None]
        if fresh and self.target is None:
            # "clip" alone writes without a copy between; no index is out of range.
            np.take(G, self.source[part], axis=0, out=out[part], mode="clip")
            if scale is not None:
                out[part] *= scale
            return
        taken = G.take(self.source[part], axis=0)
        if scale is not None:
            taken *= scale
        if self.target is None:
            out[part] += taken
        elif not fresh:
            out[self.target[part]] += taken
        else:
            # With the lines between, from the first of this part to the first of the next.
            first = self.target[part.start] if part.start else 0
            last = self.target[part.stop] if part.stop < len(self.source) else len(out)
            out[first:last] = 0
            out[self.target[part]] = taken


@dataclass(frozen=True, eq=False)
class Masked:
    """All lines, in order, but for some that are 0; it may take place where they lie.

    Parameters
    ----------
    zero : int array (n,)
    """

    zero: Array

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Copy or add lines, unless they are there already, and leave out those that are 0."""
        kept = 0 if fresh else out[self.zero]

        def some(part: slice) -> None:
            if fresh:
                out[part] = G[part]
            else:
                out[part] += G[part]

        if out.ctypes.data != G.ctypes.data:
            spread(some, len(G), G.shape[1] * G.itemsize)
        out[self.zero] = kept

    def seconds(self, rows: int) -> float:
        """Nothing is multiplied that counts."""
        return 0.0


@dataclass(frozen=True, eq=False)
class Added:
    """Several such moves, one after the other: lines that take more than one."""

    moves: tuple[Moved, ...]

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Add what each brings."""
        for i, move in enumerate(self.moves):
            move(G, out, fresh=fresh and not i)

    def seconds(self, rows: int) -> float:
        """Nothing is multiplied that counts."""
        return 0.0


@dataclass(frozen=True, eq=False)
class Sparse:
    """A sparse matrix ``(target entries, source entries)``."""

    matrix: sp.csr_array

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """A product for some lines at a time: all at once would be memory that nobody touched."""
        # SciPy's products hold Python's lock: threads would not help.
        for part, matrix in self._parts:
            made = matrix @ G
            if fresh:
                out[part] = made
            else:
                out[part] += made

    @cached_property
    def _parts(self) -> list[tuple[slice, sp.csr_array]]:
        """Some lines each; made by hand, as SciPy takes long to take a part."""
        all_of, found = self.matrix, []
        for start in range(0, all_of.shape[0], LINES):
            part = slice(start, min(start + LINES, all_of.shape[0]))
            ends = all_of.indptr[part.start : part.stop + 1]
            own = slice(ends[0], ends[-1])
            given = (all_of.data[own], all_of.indices[own], ends - ends[0])
            shape = (part.stop - start, all_of.shape[1])
            found.append((part, sp.csr_array(given, shape=shape)))
        return found

    @property
    def table_bytes(self) -> int:
        """Bytes of the matrix."""
        return self.matrix.data.nbytes + self.matrix.indices.nbytes + self.matrix.indptr.nbytes

    def seconds(self, rows: int) -> float:
        """By the entries of the matrix."""
        return rows * self.matrix.nnz / SPARSE


def pull(op: LinearMap, source: Places, target: Places, dtype: np.dtype[Any], rows: int) -> Pull:
    """Choose how cotangents of about so many rows go from live outputs back to live inputs."""
    if isinstance(op, MatMul) and source and target:
        return lines(op, source, target, dtype)
    found = windows(op, source, target, dtype, rows)
    if found is not None:
        return found
    grouped = groups(op, source, target, dtype, rows)
    if grouped is not None:
        return Sparse(grouped) if isinstance(grouped, sp.csr_array) else grouped
    triples = _known(op, source, target, dtype)
    if triples is None and op.nnz <= FEW * (op.rows + op.columns):
        matrix = op.to_sparse(dtype)[source.flat][:, target.flat].tocoo()
        triples = matrix.row, matrix.col, matrix.data
    if triples is None:
        return Dense(op, source, target, max(1, 2**24 // max(op.rows + op.columns, 1)))
    return moves(*triples, len(source), len(target))


def _known(
    op: LinearMap, source: Places, target: Places, dtype: np.dtype[Any]
) -> tuple[Array, Array, Array] | None:
    """``(source line, target line, factor)`` of maps that read one entry for each; else None."""
    if isinstance(op, Adjoint) and isinstance(op.base, Select | Crop | Transpose):
        read = _read(op.base)[target.flat]
        at = np.where(read >= 0, source.line[read], -1)
        kept = np.flatnonzero(at >= 0)
        return at[kept], kept, np.ones(len(kept), dtype)
    factor = np.ones(len(source), dtype)
    if isinstance(op, Reshape | Diagonal):
        read = source.flat
        if isinstance(op, Diagonal):
            factor = np.broadcast_to(op.scale, op.in_shape).reshape(-1)[read].astype(dtype)
    elif isinstance(op, Select | Crop | Transpose):
        read = _read(op)[source.flat]
    else:
        return None
    line = np.where(read >= 0, target.line[read], -1)
    kept = np.flatnonzero(line >= 0)
    return kept, line[kept], factor[kept]


def _read(op: Select | Crop | Transpose) -> Array:
    """Which input each output is, -1 for none."""
    if isinstance(op, Select):
        return op.index.reshape(-1)
    every = np.arange(op.columns).reshape(1, *op.in_shape)
    return op.matvec(every).reshape(-1)


def moves(source: Array, target: Array, factor: Array, given: int, taken: int) -> Pull:
    """Moves where few lines are added up in one, else a sparse matrix.

    Parameters
    ----------
    source, target, factor : array (n,)
        What goes where.
    given, taken : int
        Lines that there are.
    """
    if given == taken == len(source) and np.isin(factor, (0, 1)).all() and not factor.all():
        every = np.arange(given)
        if (source == every).all() and (target == every).all():
            return Masked(np.flatnonzero(factor == 0))
    turn = np.zeros(len(target), np.int64)
    if not (target[1:] > target[:-1]).all():
        order = np.argsort(target, kind="stable")
        source, target, factor = source[order], target[order], factor[order]
        # Which of those that go to one line each of them is.
        turn = np.arange(len(target)) - np.searchsorted(target, target)
    rounds = int(turn.max(initial=0)) + 1
    # Lines that are gathered are written again for each round, and for a factor.
    if rounds > ROUNDS or (rounds > 1 and not (factor == 1).all()):
        return Sparse(sp.csr_array((factor, (target, source)), shape=(taken, given)))
    made: list[Moved] = []
    for part in (turn == i for i in range(rounds)):
        lines, scale = target[part], factor[part]
        whole = len(lines) == taken
        plain = bool((scale == 1).all())
        same = whole and plain and given == taken and bool((source[part] == lines).all())
        made.append(Moved(source[part], None if whole else lines, None if plain else scale, same))
    return made[0] if rounds == 1 else Added(tuple(made))
