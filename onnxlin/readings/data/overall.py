"""An evaluation of any number of instances, a part of them at a time: none is kept."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from onnxlin.archives import Spool
from onnxlin.graph import Array
from onnxlin.readings.data.evaluate import PARTS, Evaluation
from onnxlin.readings.data.histogram import Histogram, bins_of
from onnxlin.readings.row.summary import is_distribution

LEAF = 128
"""Numbers that NumPy adds up in one go; more are halved."""


@dataclass(frozen=True)
class Margin:
    """What a part of the margin comes to over all instances.

    Parameters
    ----------
    part : str
        "all", "W x", or a node.
    mean, lowest, highest : float
    share : float
        Of the mean margin.
    against : float
        Share of the instances where it lowers the margin.
    """

    part: str
    mean: float
    share: float
    lowest: float
    highest: float
    against: float


@dataclass(frozen=True, eq=False)
class Overall:
    """What an `Evaluation` says of all its instances together.

    Parameters
    ----------
    count, classes : int
    is_labelled : bool
        Whether there are true classes.
    accuracy : {"all", "W x", "b": share}
        See `Evaluation.accuracy`.
    margins : tuple of Margin
        Of F(x), then of W x and of every node's bias.
    residual : float
        The largest.
    are_distributions : bool
        Whether all outputs are probabilities.
    histogram : Histogram
        Of the margins of "all", "W x" and "b".
    """

    count: int
    classes: int
    is_labelled: bool
    accuracy: dict[str, float]
    margins: tuple[Margin, ...]
    residual: float
    are_distributions: bool
    histogram: Histogram

    @property
    def owned(self) -> dict[str, float]:
        """Share of the mean margin that W x and each node's bias own."""
        return {margin.part: margin.share for margin in self.margins[1:]}


class Adding:
    """Adds up the evaluations of parts, in their order: `whole` is what `Evaluation` of all says.

    To the bit: sums are taken in the order in which NumPy takes those of all. What it holds does
    not grow with the instances; two numbers of each lie in a temporary file.

    Parameters
    ----------
    count : int
        Instances that come, one or more.
    """

    def __init__(self, count: int) -> None:
        self._count, self._done = count, 0
        self._right = dict.fromkeys(PARTS, 0)
        self._parts: dict[str, _Values] = {"all": _Values(count), "W x": _Values(count)}
        self._b, self._spool = _Values(count), Spool(2)
        self._residual, self._classes, self._labelled = 0.0, 0, False
        self._distributions = True

    def add(self, found: Evaluation) -> None:
        """Add the next instances."""
        margin, target = found.margin, found.target
        for name, values in zip(PARTS, (found.y, found.Wx, found.b), strict=True):
            self._right[name] += int((values.argmax(axis=1) == target).sum())
        margins = {"all": margin, **found.margins}
        for name in margins:
            if name not in self._parts:  # it brought nothing in before
                self._parts[name] = _Values(self._count)
                self._parts[name].skip(self._done)
        for name, part in self._parts.items():
            part.add(margins.get(name, np.zeros(len(found))))
        weight = margins["W x"]
        self._b.add(margin - weight)
        self._spool.add(np.column_stack([margin, weight]))
        self._residual = max(self._residual, float(found.residual.max(initial=0.0)))
        self._distributions = self._distributions and all(is_distribution(y) for y in found.y)
        self._classes, self._labelled = found.y.shape[1], found.labels is not None
        self._done += len(found)

    def whole(self) -> Overall:
        """All of it, once all instances are there."""
        mean = self._parts["all"].mean
        shares = {n: p.mean / mean if mean else float("nan") for n, p in self._parts.items()}
        shares["all"] = 1.0
        return Overall(
            self._count,
            self._classes,
            self._labelled,
            {name: right / self._count for name, right in self._right.items()},
            tuple(
                Margin(name, p.mean, shares[name], p.lowest, p.highest, p.below / self._count)
                for name, p in self._parts.items()
            ),
            self._residual,
            self._distributions,
            self._histogram(),
        )

    def _histogram(self) -> Histogram:
        """Count the margins in bins, now that it is known how far they reach."""
        three = (self._parts["all"], self._parts["W x"], self._b)
        ends = min(p.lowest for p in three), max(p.highest for p in three)
        edges = bins_of(ends, 3 * self._count)
        found = Histogram.empty(edges, PARTS)
        for block in self._spool:
            margin, weight = block[:, 0], block[:, 1]
            found = found.with_more({"all": margin, "W x": weight, "b": margin - weight})
        return found


class _Values:
    """N numbers that come some at a time."""

    def __init__(self, count: int) -> None:
        self._count, self._sum = count, 0.0
        self._adding = pairwise(count)
        self._wanted = next(self._adding)
        self._held = np.zeros(0)
        self.lowest, self.highest, self.below = np.inf, -np.inf, 0

    def skip(self, count: int) -> None:
        """Take so many zeros."""
        for start in range(0, count, 2**12):
            self.add(np.zeros(min(2**12, count - start)))

    def add(self, values: Array) -> None:
        """Take the next ones."""
        if not len(values):
            return
        self.lowest = min(self.lowest, float(values.min()))
        self.highest = max(self.highest, float(values.max()))
        self.below += int((values < 0).sum())
        self._held, at = np.concatenate([self._held, values]), 0
        while self._wanted and len(self._held) - at >= self._wanted:
            leaf, at = self._held[at : at + self._wanted], at + self._wanted
            try:
                self._wanted = self._adding.send(leaf)
            except StopIteration as stop:
                self._wanted, self._sum = 0, stop.value
        self._held = self._held[at:].copy()

    @property
    def mean(self) -> float:
        """Of all, once they are there."""
        return float(self._sum / self._count)


def pairwise(count: int) -> Generator[int, Array, float]:
    """Add up so many numbers in the order in which ``np.sum`` adds those of one array.

    It yields how many numbers it takes next, and is sent those; it returns the sum.
    """
    if count <= LEAF:
        leaf = yield count
        return float(np.add.reduce(leaf))
    half = count // 2
    half -= half % 8
    first = yield from pairwise(half)
    return first + (yield from pairwise(count - half))
