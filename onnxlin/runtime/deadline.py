"""A time by which runs must have ended: what they have not done by then, nobody waits for.

It holds for what is called inside of a ``with`` block, in its thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from onnxruntime import RunOptions

from onnxlin.errors import LimitError, OptionError

_END: ContextVar[float | None] = ContextVar("end", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Let what is called end within so many seconds; None sets no end."""
    if seconds is None:
        yield
        return
    before = _END.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _END.reset(before)


def require_seconds(time: float | None) -> None:
    """Raise OptionError unless this is a time, or none."""
    if time is not None and not (isinstance(time, int | float) and time > 0):
        raise OptionError(
            f"time={time!r}; expected seconds above 0, or None for as long as it takes."
        )


def require_time() -> None:
    """Raise LimitError where the time has passed."""
    end = _END.get()
    if end is not None and time.monotonic() >= end:
        raise LimitError("the time that was given is over (time=, --time)")


def is_set() -> bool:
    """Whether there is such a time."""
    return _END.get() is not None


@contextmanager
def watched() -> Iterator[RunOptions | None]:
    """Options of one run of onnxruntime, which is told to stop when the time is over.

    It looks between two nodes, those of a loop's body among them; one node is not cut short.

    Raises
    ------
    LimitError
        The time was over before, or is by the end.
    """
    end = _END.get()
    if end is None:
        yield None
        return
    require_time()
    options, over = RunOptions(), threading.Event()

    def stop() -> None:
        over.set()
        options.terminate = True

    timer = threading.Timer(max(end - time.monotonic(), 0), stop)
    timer.daemon = True
    timer.start()
    try:
        yield options
    except Exception:
        if over.is_set():
            require_time()
        raise
    finally:
        timer.cancel()
