"""Which rows of W are asked: output indices, or combinations of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from onnxlin.errors import RowsError
from onnxlin.primitives import Array

FEW = 64
"""Rows of a list that are worth a look at each, to know the list again; outputs taken at once."""


@dataclass(frozen=True, eq=False)
class Seeds:
    """K rows asked of a map with n outputs.

    Parameters
    ----------
    size : int
        n.
    index : integer array (K,), or None
    matrix : array (K, n), or None
        One of the two is given. ``matrix`` combines outputs.
    """

    size: int
    index: Array | None
    matrix: Array | None

    def __len__(self) -> int:
        return len(self.index if self.matrix is None else self.matrix)  # type: ignore[arg-type]

    def part(self, rows: slice) -> Seeds:
        """Some of the rows that lie side by side: views."""
        index, matrix = self.index, self.matrix
        return Seeds(
            self.size,
            None if index is None else index[rows],
            None if matrix is None else matrix[rows],
        )

    def dense(self, rows: slice, dtype: np.dtype[Any]) -> Array:
        """Some of the rows as seed cotangents: ``(k, n)``."""
        if self.matrix is not None:
            return self.matrix[rows].astype(dtype)
        assert self.index is not None
        chosen = self.index[rows]
        seeds = np.zeros((len(chosen), self.size), dtype=dtype)
        seeds[np.arange(len(chosen)), chosen] = 1
        return seeds

    def lines(self, rows: slice, outputs: Array, dtype: np.dtype[Any]) -> Array:
        """Seed cotangents of some of the outputs alone, each a line: ``(len(outputs), k)``."""
        if self.matrix is not None:
            taken = self.matrix[rows]
            found = np.empty((len(outputs), len(taken)), dtype)
            for start in range(0, len(outputs), FEW):
                part = slice(start, start + FEW)
                found[part] = taken[:, outputs[part]].T
            return found
        assert self.index is not None
        line = np.full(self.size, -1)
        line[outputs] = np.arange(len(outputs))
        at = line[self.index[rows]]
        kept = np.flatnonzero(at >= 0)
        found = np.zeros((len(outputs), len(at)), dtype)
        found[at[kept], kept] = 1
        return found

    def apply(self, y: Array) -> Array:
        """Combine outputs ``(n, ...)`` to rows ``(K, ...)``; those of weight 0 may be infinite."""
        if self.matrix is None:
            return y[self.index]
        taken = self.taken.reshape(-1, *(1,) * (y.ndim - 1))
        found: Array = self.matrix @ (y if np.isfinite(y).all() else np.where(taken, y, 0))
        return found

    @property
    def taken(self) -> Array:
        """Which outputs some row takes: ``(n,)``, bool."""
        if self.matrix is not None:
            return (self.matrix != 0).any(axis=0)
        found = np.zeros(self.size, bool)
        found[self.index] = True
        return found


def some_of(seeds: Seeds, rows: Array) -> Seeds:
    """Return some of the rows asked."""
    index, matrix = seeds.index, seeds.matrix
    return Seeds(
        seeds.size,
        None if index is None else index[rows],
        None if matrix is None else matrix[rows],
    )


def is_single(rows: Any) -> bool:
    """Whether a ``rows`` argument asks for one row, seen before the number of outputs is known."""
    if type(rows) in (range, list):
        return len(rows) == 1
    if type(rows) is int:
        return True
    try:
        return rows is not None and len(np.atleast_1d(rows)) == 1
    except ValueError:  # `make_seeds` says what is wrong
        return False


def how_many(rows: Any, size: int) -> int:
    """How many rows are asked for, of so many; 0 where `make_seeds` will say what is wrong."""
    if rows is None:
        return size
    try:
        return len(np.atleast_1d(rows))
    except ValueError:
        return 0


def make_seeds(rows: Any, size: int) -> Seeds:
    """Read the ``rows`` argument.

    Parameters
    ----------
    rows : None, int, integers (K,) or numbers (K, size)
        All rows, some rows (negative counts from the end), or combinations.
    size : int
        Number of outputs.

    Raises
    ------
    RowsError
    """
    if rows is None or type(rows) in (range, int):
        return _listed(rows, size)
    # Not all that equals an integer is one: True, 1.0.
    if type(rows) is list and len(rows) <= FEW and all(type(row) is int for row in rows):
        return _listed(tuple(rows), size)
    return _read(rows, size)


@lru_cache(maxsize=8)
def _listed(rows: range | int | tuple[int, ...] | None, size: int) -> Seeds:
    """Read what cannot change between two calls: reading it costs as much as a small net's map."""
    found = Seeds(size, np.arange(size), None) if rows is None else _read(rows, size)
    assert found.index is not None
    found.index.setflags(write=False)
    return found


def _read(rows: Any, size: int) -> Seeds:
    try:
        array = np.asarray(rows)
    except ValueError as error:
        raise RowsError(f"rows={rows!r} is no array: {error}.") from error
    if array.ndim == 2 and array.shape[1] == size and array.dtype.kind in "fiub":
        if not np.isfinite(array).all():
            raise RowsError("rows holds NaN or infinity; combinations need finite weights.")
        return Seeds(size, None, array.astype(np.float64))
    if array.ndim > 1 or (array.size and array.dtype.kind not in "iu"):
        raise RowsError(
            f"rows has shape {array.shape} and dtype {array.dtype}; expected output indices "
            f"(integers) or a matrix of combinations of shape (K, {size})."
        )
    index = np.atleast_1d(array).astype(np.int64)
    wrong = index[(index < -size) | (index >= size)]
    if wrong.size:
        raise RowsError(f"rows={wrong[:5].tolist()} do not exist: the map has {size} outputs.")
    return Seeds(size, np.where(index < 0, index + size, index), None)
