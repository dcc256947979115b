"""How far a call is that computes W and then its bound, both into a file: told as one count."""

from __future__ import annotations

from onnxlin.affine_map.bounds import turns
from onnxlin.engines.job import Progress


class Told:
    """Tells a caller (done, total) in sweeps: those for W, then those for its bound.

    It never goes back, ends once, and is silent from then on, whatever the map is asked for later.

    Parameters
    ----------
    progress : callable, optional
        The caller's.
    rows, nnz : int
        Rows of W, and multiplications of a sweep.
    """

    def __init__(self, progress: Progress | None, rows: int, nnz: int) -> None:
        self._tell, self._rows = progress, rows
        self._total = rows + turns(rows, nnz)
        self._done = 0

    def of_rows(self, done: int, total: int) -> None:
        """Tell of the work for W, in whatever it counts."""
        self._told(self._rows * done // max(total, 1))

    def of_bound(self, done: int, total: int) -> None:
        """Tell of the work for its bound, likewise."""
        self._told(self._rows + (self._total - self._rows) * done // max(total, 1))

    def end(self) -> None:
        """Tell that all of it is there."""
        self._done = self._total
        if self._tell is not None:
            self._tell(self._total, self._total)

    def _told(self, done: int) -> None:
        # A bound that decides nothing is followed by another: which is the last one, `end` knows.
        if self._tell is not None and self._done < done < self._total:
            self._done = done
            self._tell(done, self._total)
