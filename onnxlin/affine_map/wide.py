"""W a few rows at a time: in float64, or from a file."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator

import numpy as np

from onnxlin.primitives import Array

LARGE = 2**20  # entries of W that are brought to float64 at once


def by_rows(W: Array, function: Callable[[Array], Array]) -> Array:
    """Apply a function to W in float64, a few rows at a time, to save memory.

    Parameters
    ----------
    W : array (n_rows, n_in)
    function : callable
        ``(k, n_in) -> (k, ...)`` for any number k of rows.

    Returns
    -------
    array (n_rows, ...)
    """
    # In one order of memory, whoever made W: sums come out the same to the last bit.
    parts = [function(part.astype(np.float64, order="C")) for part in some_rows(W)]
    return np.concatenate(parts) if parts else np.zeros(0)


def some_rows(W: Array, rows: Array | None = None) -> Iterator[Array]:
    """Cut W into a few rows at a time; of a file no more stays in memory than is looked at.

    Parameters
    ----------
    W : array (n_rows, n_in)
    rows : indices, optional
        The rows to look at; by default all.
    """
    size = max(LARGE // max(W.shape[1], 1), 1)
    for i in range(0, len(W) if rows is None else len(rows), size):
        yield W[i : i + size] if rows is None else W[rows[i : i + size]]
        let_go(W)


def let_go(W: Array) -> None:
    """Let the system have the pages of a file that have been read: they count as this process's.

    They are read again, from the system's own copy, where somebody looks once more.
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)  # not every system takes advice
    whole: object = W.base
    while isinstance(whole, np.ndarray):  # W is a view
        whole = whole.base
    if isinstance(whole, mmap.mmap) and advice is not None:
        whole.madvise(advice)
