"""How numbers are distributed, counted a part of them at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.graph import Array

FEWEST, MOST = 8, 60
"""Bins."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of several quantities in the same bins.

    Parameters
    ----------
    edges : array (bins + 1,)
    counts : {name: integer array (bins,)}
    below : {name: int}
        How many of them are 0 or less.
    """

    edges: Array
    counts: Mapping[str, Array]
    below: Mapping[str, int]

    @classmethod
    def empty(cls, edges: Array, names: Iterable[str]) -> Histogram:
        """Nothing is counted yet."""
        bins = len(edges) - 1
        return cls(edges, {n: np.zeros(bins, np.int64) for n in names}, dict.fromkeys(names, 0))

    @classmethod
    def of(cls, values: Mapping[str, Array]) -> Histogram:
        """Count numbers that are all there, one or more: ``{name: array (N,)}``."""
        whole = np.concatenate(list(values.values()))
        edges = bins_of((float(whole.min()), float(whole.max())), whole.size)
        return cls.empty(edges, values).with_more(values)

    def with_more(self, values: Mapping[str, Array]) -> Histogram:
        """Count further numbers."""
        counts = {n: self.counts[n] + np.histogram(v, self.edges)[0] for n, v in values.items()}
        below = {n: self.below[n] + int((v <= 0).sum()) for n, v in values.items()}
        return Histogram(self.edges, counts, below)


def bins_of(ends: tuple[float, float], count: int) -> Array:
    """Edges of bins for so many numbers between two ends."""
    bins = min(max(int(np.sqrt(count)), FEWEST), MOST)
    found: Array = np.histogram_bin_edges(np.array(ends), bins)
    return found
