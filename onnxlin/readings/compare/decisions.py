"""Two models over a data set: which decisions changed, by how much, and what changed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onnxlin.graph import Array
from onnxlin.readings.data.evaluate import rival_of
from onnxlin.texts import counted

PINNED = ("A's class in A", "B's class in A", "A's class in B", "B's class in B")


@dataclass(frozen=True)
class Changed:
    """A sample that the two models decide otherwise.

    Parameters
    ----------
    sample : int
    name : str
        Of the sample, where the data has names; else empty.
    label : int or None
    classes : (int, int)
        The largest output in A and in B.
    margins : (float, float)
        Output of A's class less that of B's class: in A, where it is 0 or more, and in B.
    first : str or None
        The tensor whose share moved the margin furthest.
    pinned : tuple of str
        Outputs that lie at an end of the range of their codes, of `PINNED`.
    """

    sample: int
    name: str
    label: int | None
    classes: tuple[int, int]
    margins: tuple[float, float]
    first: str | None
    pinned: tuple[str, ...]

    @property
    def is_tie(self) -> bool:
        """Whether B has the same number for both classes: the first of them counts as largest."""
        return self.margins[1] == 0


@dataclass(frozen=True)
class Share:
    """What the nodes that make one tensor have done to the margins of the samples that changed.

    Parameters
    ----------
    tensor : str
        Of A.
    nodes_a, nodes_b : tuple of str
        ``Op 'name'`` of the nodes that make it from the nearest tensors that both have.
    constants : tuple of str
        Constants of A's nodes that are other numbers in B.
    introduced, bent : float
        Means over those samples, see `onnxlin.readings.compare.blame.Blame`; negative where they
        move the margin away from A's class.
    share : float
        Of the mean change.
    first : int
        Samples at which it moved the margin furthest.
    """

    tensor: str
    nodes_a: tuple[str, ...]
    nodes_b: tuple[str, ...]
    constants: tuple[str, ...]
    introduced: float
    bent: float
    share: float
    first: int


@dataclass(frozen=True, eq=False)
class Decisions:
    """What became of the decisions of A in B, over N samples.

    Parameters
    ----------
    count, classes : int
    changed : tuple of Changed
    accuracy : (float, float) or None
        Of A and of B, where there are labels.
    mended, spoilt : int or None
        Samples that only B has right, and that only A has right.
    margins : array (N,)
        Of A: its largest output less the second.
    shares : tuple of Share
        Of every tensor that both have, in the order of A; empty where nothing changed.
    rest : float
        Largest difference between a change and the sum of its shares, over the sum of their sizes.
    notes : tuple of str
    """

    count: int
    classes: int
    changed: tuple[Changed, ...]
    accuracy: tuple[float, float] | None
    mended: int | None
    spoilt: int | None
    margins: Array
    shares: tuple[Share, ...]
    rest: float
    notes: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """Of the samples, those whose decision changed."""
        return len(self.changed) / self.count

    @property
    def first(self) -> Share | None:
        """What moved the mean margin of the samples that changed furthest."""
        return max(self.shares, key=lambda one: one.share, default=None)

    @property
    def bent(self) -> float | None:
        """Share of the mean change that is no node's error passed on linearly; None without any."""
        whole = sum(one.introduced + one.bent for one in self.shares)
        return sum(one.bent for one in self.shares) / whole if whole else None

    def __str__(self) -> str:
        """The verdict, and what moved most."""
        text = f"{len(self.changed):,} of {counted(self.count, 'decision')} changed"
        if self.accuracy is not None:
            a, b = self.accuracy
            text += f"; accuracy {a:.2%} in A, {b:.2%} in B"
            text += f" ({self.mended:,} mended, {self.spoilt:,} spoilt)"
        if (first := self.first) is not None:
            text += f"; most by {' <- '.join(reversed(first.nodes_a)) or 'no node of A'}, "
            text += f"tensor {first.tensor!r}: {first.share:.0%} of the change of the margins"
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return plain data; margins in quantiles."""
        changed = np.array([one.margins[0] for one in self.changed])
        return {
            "samples": self.count,
            "classes": self.classes,
            "changed": len(self.changed),
            "accuracy": None
            if self.accuracy is None
            else dict(zip("ab", self.accuracy, strict=True)),
            "mended": self.mended,
            "spoilt": self.spoilt,
            "ties": sum(one.is_tie for one in self.changed),
            "pinned": sum(bool(one.pinned) for one in self.changed),
            "margins": {"all": quantiles(self.margins), "changed": quantiles(changed)},
            "bent": self.bent,
            "rest": self.rest,
            "notes": list(self.notes),
            "decisions": [asdict(one) for one in self.changed],
            "shares": [asdict(one) for one in self.shares],
        }


def quantiles(values: Array) -> dict[str, float] | None:
    """Smallest, middle and largest; None of nothing."""
    if not len(values):
        return None
    low, middle, high = (float(q) for q in np.quantile(values, (0, 0.5, 1)))
    return {"smallest": low, "median": middle, "largest": high}


class Counting:
    """Adds up what is found of chunks, in their order: `whole` is all of it.

    Parameters
    ----------
    names : sequence of str
        Of the samples; empty if they have none.
    tensors : sequence of Share
        Of which only the names count.
    labels : integer array (N,) or None
    """

    def __init__(
        self, names: Sequence[str], tensors: Sequence[Share], labels: Array | None
    ) -> None:
        self._names, self._tensors, self._labels = names, tensors, labels
        self._changed: list[Changed] = []
        self._sums = np.zeros((2, len(tensors)))
        self._first = np.zeros(len(tensors), np.int64)
        self._margins: list[Array] = []
        self._right, self._rest, self._classes = np.zeros((2, 2), np.int64), 0.0, 0

    def add(self, at: slice, arrays: Mapping[str, Array]) -> None:
        """Add a chunk: y and other ``(n, classes)``, introduced, bent ``(n, T)``, pinned, rest."""
        y, other = arrays["y"], arrays["other"]
        ours, theirs, every = y.argmax(axis=1), other.argmax(axis=1), np.arange(len(y))
        self._classes = y.shape[1]
        self._margins.append(y[every, ours] - y[every, rival_of(y, ours)])
        labels = None if self._labels is None else self._labels[at]
        if labels is not None:
            # [A is right, B is right]
            np.add.at(
                self._right, ((ours == labels).astype(int), (theirs == labels).astype(int)), 1
            )
        for i in np.flatnonzero(ours != theirs):
            parts = np.stack([arrays["introduced"][i], arrays["bent"][i]])
            self._sums += parts
            p, q = int(ours[i]), int(theirs[i])
            strongest = int(np.argmin(parts.sum(axis=0)))
            self._first[strongest] += 1
            self._rest = max(self._rest, float(arrays["residual"][i]))
            sample = at.start + int(i)
            self._changed.append(
                Changed(
                    sample,
                    str(self._names[sample]) if len(self._names) else "",
                    None if labels is None else int(labels[i]),
                    (p, q),
                    (float(y[i, p] - y[i, q]), float(other[i, p] - other[i, q])),
                    self._tensors[strongest].tensor,
                    tuple(n for n, on in zip(PINNED, arrays["pinned"][i], strict=True) if on),
                )
            )

    def whole(self, notes: Sequence[str]) -> Decisions:
        """All of it, once all samples are there."""
        margins = np.concatenate(self._margins)
        count, changed = len(margins), len(self._changed)
        means, accuracy = self._sums / max(changed, 1), None
        total = float(means.sum())
        mended = spoilt = None
        if self._labels is not None:
            table = self._right
            accuracy = (float(table[1].sum() / count), float(table[:, 1].sum() / count))
            mended, spoilt = int(table[0, 1]), int(table[1, 0])
        shares = [
            Share(
                one.tensor, one.nodes_a, one.nodes_b, one.constants,
                float(means[0, i]), float(means[1, i]),
                float(means[:, i].sum()) / total if total else float("nan"),
                int(self._first[i]),
            )
            for i, one in enumerate(self._tensors)
        ]  # fmt: skip
        return Decisions(
            count, self._classes, tuple(self._changed), accuracy, mended, spoilt, margins,
            tuple(shares if changed else ()), self._rest, tuple(notes),
        )  # fmt: skip
