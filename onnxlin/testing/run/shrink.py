"""Make a failing x small: fewer entries that are not 0, rounder numbers, shorter open axes.

Hypothesis shrinks what its strategies draw, but it keeps the draws in a buffer of a few kilobytes:
the 150,528 numbers of a picture do not fit. This is plain delta debugging (Zeller and Hildebrandt,
Simplifying and isolating failure-inducing input, IEEE TSE 28(2), 2002) over arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxlin.graph import Array, TensorType
from onnxlin.testing.laws.subject import Feeds

Change = Callable[[Array], Array]
# Entries that are rounded one by one; more are only rounded together.
ONE_BY_ONE = 32
DIGITS = (0, 1, 2, 3)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A small x that fails in the same way.

    Parameters
    ----------
    feeds : {input name: array}
    calls : int
        How many x were tried.
    complete : bool
        Whether nothing smaller of the kinds tried fails; False where the budget ended first.
    """

    feeds: dict[str, Array]
    calls: int
    complete: bool

    @property
    def entries(self) -> int:
        """How many numbers are not 0."""
        return sum(int(np.count_nonzero(v)) for v in self.feeds.values() if v.dtype.kind != "O")


class _SpentError(Exception):
    """The budget has been used up."""


@dataclass(eq=False)
class _Search:
    """The smallest x so far, and what may still be spent."""

    fails: Callable[[Feeds], bool]
    best: dict[str, Array]
    calls: int
    end: float
    progress: Callable[[int], None] | None
    spent: int = field(default=0)

    def smaller(self, feeds: dict[str, Array]) -> bool:
        """Keep an x if it fails as well."""
        if all(np.array_equal(feeds[name], value) for name, value in self.best.items()):
            return False
        if self.spent >= self.calls or time.monotonic() >= self.end:
            raise _SpentError
        self.spent += 1
        if self.progress is not None:
            self.progress(self.spent)
        if not self.fails(feeds):
            return False
        self.best = feeds
        return True


def shrink(
    feeds: Feeds,
    fails: Callable[[Feeds], bool],
    *,
    kinds: Mapping[str, TensorType] | None = None,
    calls: int = 300,
    seconds: float = 60.0,
    progress: Callable[[int], None] | None = None,
) -> Shrunk:
    """Shrink a failing x: the same result for the same x, as long as the seconds last.

    Parameters
    ----------
    feeds : {input name: array}
        An x that fails.
    fails : callable
        Whether an x fails in the same way.
    kinds : {input name: TensorType}, optional
        Of the model's inputs: their open axes may be cut shorter.
    calls, seconds : int, float
        At most so many x are tried, and no new one after so long.
    progress : callable, optional
        Called with the number of x tried.
    """
    end = time.monotonic() + seconds
    search = _Search(fails, dict(feeds), calls, end, progress)
    try:
        _shorten(search, kinds or {})
        _clear(search)
        _round(search)
    except _SpentError:
        return Shrunk(search.best, search.spent, complete=False)
    return Shrunk(search.best, search.spent, complete=True)


def _shorten(search: _Search, kinds: Mapping[str, TensorType]) -> None:
    """Cut open axes to 1, or halve them; axes of one name are cut together."""
    for axes in _open_axes(kinds):
        while True:
            name, axis = axes[0]
            length = search.best[name].shape[axis]
            tried = (search.smaller(_cut(search.best, axes, n)) for n in (1, length // 2)
                     if 0 < n < length)  # fmt: skip
            if not any(tried):
                break


def _open_axes(kinds: Mapping[str, TensorType]) -> list[list[tuple[str, int]]]:
    """Open axes of all inputs, those of one name together."""
    found: dict[object, list[tuple[str, int]]] = {}
    for name, kind in kinds.items():
        for axis, n in enumerate(kind.shape or ()):
            if not isinstance(n, int):
                found.setdefault(n or (name, axis), []).append((name, axis))
    return list(found.values())


def _cut(feeds: Feeds, axes: list[tuple[str, int]], length: int) -> dict[str, Array]:
    """Keep the first entries along some axes."""
    found = dict(feeds)
    for name, axis in axes:
        found[name] = np.take(found[name], np.arange(length), axis=axis)
    return found


def _clear(search: _Search) -> None:
    """Set as many entries to 0 as can be: all, halves, quarters and so on of what is left."""
    left = _places(search.best)
    if not left.size or search.smaller(_without(search.best, left)):
        return
    size = -(-left.size // 2)
    while True:
        left, cleared = _places(search.best), False
        for block in _blocks(left, size):
            cleared |= search.smaller(_without(search.best, block))
        if size == 1 and not cleared:
            return
        # What one block could not do without another may go now: small blocks are tried again.
        size = max(size // 2, 1)


def _blocks(places: Array, size: int) -> Iterator[Array]:
    return (places[i : i + size] for i in range(0, places.size, size))


def _places(feeds: Feeds) -> Array:
    """Where entries of all inputs that can be 0 are not, counted through."""
    flat = [v.ravel() if v.dtype.kind != "O" else np.zeros(v.size) for v in feeds.values()]
    return np.flatnonzero(np.concatenate([part != 0 for part in flat])) if flat else np.zeros(0)


def _without(feeds: Feeds, places: Array) -> dict[str, Array]:
    return _mapped(feeds, places, np.zeros_like)


def _mapped(feeds: Feeds, places: Array, change: Change) -> dict[str, Array]:
    """Change the entries at some places."""
    found, start = {}, 0
    for name, value in feeds.items():
        inside = places[(places >= start) & (places < start + value.size)] - start
        found[name] = value
        if inside.size:
            flat = value.ravel().copy()
            flat[inside] = change(flat[inside])
            found[name] = flat.reshape(value.shape)
        start += value.size
    return found


def _round(search: _Search) -> None:
    """Take whole numbers, or few digits, for all entries together or else one by one."""
    places = _places(search.best)
    blocks = [places] if places.size > ONE_BY_ONE else [places, *_blocks(places, 1)]
    changes: list[Change] = [_one, *(_rounded(digits) for digits in DIGITS)]
    for block in blocks:
        for change in changes:
            candidate = _mapped(search.best, block, change)
            # A number that is rounded to 0 is none that was needed: clearing has tried that.
            if _places(candidate).size == places.size and search.smaller(candidate):
                break


def _one(values: Array) -> Array:
    """Take 1 or -1; what is true stays so."""
    return values if values.dtype == np.bool_ else np.sign(values)


def _rounded(digits: int) -> Change:
    """Round to so many digits behind the point, in the array's own type."""
    return lambda a: np.round(a.astype(np.float64), digits).astype(a.dtype)
