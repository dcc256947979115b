"""Merge local models that are neighbours and alike: agglomeration on a graph of neighbours.

The idea is that of Sudjianto, Knauth, Singh, Yang, Zhang, "Unwrapping The Black Box of Deep ReLU
Networks", arXiv 2011.04041 (2020). Costs are Ward's: what a merge adds to the sum of squares.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from onnxlin.primitives import Array
from onnxlin.section.options import number, one_of, whole

METRICS = ("predictions", "coefficients")


@dataclass(frozen=True)
class Merging:
    """What may be merged; see `Groups.merge`."""

    count: int
    tolerance: float
    neighbours: int
    metric: str
    refit: bool

    def __post_init__(self) -> None:
        for name in ("count", "neighbours"):
            whole(name, getattr(self, name), 1)
        number("tolerance", self.tolerance, 0.0)
        one_of("metric", self.metric, METRICS)


@dataclass(frozen=True, eq=False)
class Part:
    """Groups that have become one.

    Parameters
    ----------
    groups : list of int
    members : integer array (n,)
        Their samples.
    mean : array (K, n_in + 1)
        Mean of their maps over the samples; b is the last column.
    map : array (K, n_in + 1)
        The common map: the mean, or what was fitted.
    squares : float
        Sum of squares that merging has cost so far.
    """

    groups: list[int]
    members: Array
    mean: Array
    map: Array
    squares: float


class Merger:
    """Makes one part of two.

    Parameters
    ----------
    x, y : array (N, n_in), (N, K)
    how : Merging
    """

    def __init__(self, x: Array, y: Array, how: Merging) -> None:
        self.ones = np.column_stack([x, np.ones(len(x))])
        self.y = y
        self.how = how

    def join(self, one: Part, other: Part) -> Part:
        """Merge two parts, whatever it costs."""
        members = np.concatenate([one.members, other.members])
        share = len(one.members) / len(members)
        mean = share * one.mean + (1 - share) * other.mean
        common, at = mean, self.ones[members]
        gap = self.y[members] - at @ mean.T
        if self.how.refit:
            # The smallest change of the mean that brings it nearest to F.
            change = np.linalg.lstsq(at, gap, rcond=None)[0].T
            common, gap = mean + change, gap - at @ change.T
        if self.how.metric == "predictions":
            squares = float(np.vdot(gap, gap))
        else:
            apart = one.mean - other.mean
            added = len(one.members) * (1 - share) * float(np.vdot(apart, apart))
            squares = one.squares + other.squares + added
        return Part(one.groups + other.groups, members, mean, common, squares)

    def cost(self, one: Part, other: Part) -> float:
        """Return what merging two parts adds to the sum of squares; infinite past the tolerance."""
        joined = self.join(one, other)
        added = max(joined.squares - one.squares - other.squares, 0.0)
        apart = float(np.sqrt(added / len(joined.members)))
        return added if apart <= self.how.tolerance else np.inf


def merged(
    maps: Sequence[Array], members: Sequence[Array], x: Array, y: Array, how: Merging
) -> list[Part]:
    """Merge the cheapest two neighbours until ``how.count`` parts are left.

    Parameters
    ----------
    maps : R arrays (K, n_in + 1)
        W and b side by side.
    members : R integer arrays
        Samples of each.
    x, y : array (N, n_in), (N, K)
    """
    merger = Merger(x, y, how)
    start = zip(maps, members, strict=True)
    parts = {i: Part([i], at, m.astype(np.float64), m, 0.0) for i, (m, at) in enumerate(start)}
    centers = np.stack([x[at].mean(axis=0) for at in members])
    near = neighbours(centers, how.neighbours)
    heap = [(merger.cost(parts[i], parts[j]), i, j) for i in near for j in near[i] if i < j]
    heapq.heapify(heap)
    while len(parts) > how.count and heap:
        cost, i, j = heapq.heappop(heap)
        if i not in parts or j not in parts:
            continue
        if cost == np.inf:
            break
        new = len(near)
        parts[new] = merger.join(parts.pop(i), parts.pop(j))
        near[new] = (near[i] | near[j]) & parts.keys()
        for k in near[new]:
            near[k].add(new)
            heapq.heappush(heap, (merger.cost(parts[k], parts[new]), k, new))
    return list(parts.values())


def neighbours(centers: Array, count: int) -> dict[int, set[int]]:
    """For each center those among whose nearest it is, or that are among its own nearest."""
    near = min(count + 1, len(centers))
    _, index = KDTree(centers).query(centers, k=near)
    found: dict[int, set[int]] = {i: set() for i in range(len(centers))}
    for i, row in enumerate(np.reshape(index, (len(centers), near)).tolist()):
        for j in row:
            if i != j:
                found[i].add(j)
                found[j].add(i)
    return found
