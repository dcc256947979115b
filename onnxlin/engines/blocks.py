"""Rows of W a block at a time, for a W that goes to a file: only a block of it is in memory.

Whatever engine computes the rows computes those of a block; what it is made of, a program or an
open graph, is made once for all blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.engines.job import Columns, Progress, Solution
from onnxlin.engines.seeds import Seeds, some_of
from onnxlin.primitives import Array

# Engines take 8 or 64 rows at once: of whole such groups they make the same numbers as of all rows.
GROUPS = (64, 8)

Solve = Callable[[Seeds, Progress | None], Solution]
"""Computes rows, and tells how far it is."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows to compute a block at a time.

    Parameters
    ----------
    solve : callable
        An engine.
    seeds : Seeds
        All rows asked.
    size : int
        Rows of a block.
    columns, dtype : int, numpy.dtype
        Of W.
    progress : callable, optional
        Called with (done, total) rows.
    """

    solve: Solve
    seeds: Seeds
    size: int
    columns: int
    dtype: np.dtype[Any]
    progress: Progress | None = None

    def __iter__(self) -> Iterator[Solution]:
        total = len(self.seeds)
        for start in range(0, max(total, 1), self.size):
            rows = np.arange(start, min(start + self.size, total))
            yield self.solve(some_of(self.seeds, rows), self._told(start, len(rows)))

    def _told(self, start: int, count: int) -> Progress | None:
        """Tell of a block's work, in whatever it counts, as rows of all."""
        if self.progress is None:
            return None
        tell, total = self.progress, len(self.seeds)
        return lambda done, of: tell(start + count * done // max(of, 1), total)


def block_of(total: int, left: int, line: int, most: int, fits: Callable[[int], bool]) -> int:
    """Choose how many rows of W are in memory at once.

    Parameters
    ----------
    total : int
        Rows asked.
    left : int
        Bytes for W and sweeps: half of them are for the block.
    line : int
        Bytes of a row.
    most : int
        Rows of which an engine makes no more use.
    fits : callable
        Whether an engine can compute so many rows within the budget. At one row it says itself
        what is missing.
    """
    size = max(min(left // 2 // max(line, 1), most, total), 1)
    while size > 1 and not fits(size):
        size //= 2
    group = next((group for group in GROUPS if size >= group), 1)
    return size if size == total else size - size % group


def together(parts: Sequence[Mapping[str, Array]], counts: Sequence[int]) -> Mapping[str, Array]:
    """Put the shares of b of all blocks below each other, in the order in which nodes came.

    Parameters
    ----------
    counts : integers
        Rows of each block.
    """
    columns = [part for part in parts if isinstance(part, Columns)]
    if columns:  # of a graph, whose nodes are the same for all rows
        return Columns(columns[0].names, np.concatenate([part.array for part in columns]))
    found: dict[str, Array] = {}
    start = 0
    for part, count in zip(parts, counts, strict=True):
        for name, share in part.items():
            found.setdefault(name, np.zeros(sum(counts)))[start : start + count] = share
        start += count
    return found
