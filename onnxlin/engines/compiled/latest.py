"""The latest few things that were asked for by a key, which several threads ask for at once.

There is no lock: a forked child would find it held by a thread that it does not have. Each step is
one call of a dictionary, and what another thread has let go of between two of them is no error.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from onnxlin.graph import Array

Kept = TypeVar("Kept")


class Latest(Generic[Kept]):
    """The latest few of what was put under keys.

    Parameters
    ----------
    most : int
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._there: OrderedDict[Hashable, Kept] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._there

    def get(self, key: Hashable) -> Kept | None:
        """Return what lies under a key; that it was asked for does not count."""
        return self._there.get(key)

    def used(self, key: Hashable) -> None:
        """Let a key be the latest, if it is there."""
        with suppress(KeyError):
            self._there.move_to_end(key)

    def put(self, key: Hashable, value: Kept) -> None:
        """Put something under a key, in the place of what is there; the oldest ones go."""
        self._there[key] = value
        while len(self._there) > self._most:
            with suppress(KeyError):
                self._there.popitem(last=False)

    def items(self) -> list[tuple[Hashable, Kept]]:
        """All of them as they are now, the latest one last."""
        found = ((key, self.get(key)) for key in list(self._there))
        return [(key, value) for key, value in found if value is not None]

    def clear(self) -> None:
        """Let go of all."""
        self._there.clear()


def key_of(feeds: Mapping[str, Array], *, single: bool, count: int | None = None) -> Any:
    """What a graph is compiled for; ``count`` is None where that is one instance."""
    return single, count, *((name, value.dtype, value.shape) for name, value in feeds.items())
