"""How many processors this process is to use, where it shares a machine with others like it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class _Share:
    """What has been said; None where nobody has."""

    count: int | None = None


_SHARE = _Share()


def share() -> int | None:
    """How many processors this process has been told to use; None for all that there are."""
    return _SHARE.count


@contextmanager
def sharing(count: int) -> Iterator[None]:
    """Have sessions that are opened in a ``with`` block use so many threads, whoever opens them.

    For the whole process: one that works on its part of something that several work on.
    """
    before, _SHARE.count = _SHARE.count, count
    try:
        yield
    finally:
        _SHARE.count = before
