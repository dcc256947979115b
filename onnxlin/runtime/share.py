"""How many threads what is opened and computed here is to use, where somebody has said so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHARE: ContextVar[int | None] = ContextVar("onnxlin_threads", default=None)


def share() -> int | None:
    """How many this thread of the program has been told to use; None for all that there are."""
    return _SHARE.get()


@contextmanager
def sharing(count: int) -> Iterator[None]:
    """Have sessions that are opened in a ``with`` block use so many threads, whoever opens them.

    Of a block inside of another the smaller number counts. Other threads of the program have
    contexts of their own.
    """
    before = _SHARE.set(min(count, share() or count))
    try:
        yield
    finally:
        _SHARE.reset(before)
