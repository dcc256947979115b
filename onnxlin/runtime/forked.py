"""Sessions that outlive a fork: a forked child opens its own, and never lets go of its parent's.

A fork copies no threads. In the child the pool of a session that the parent opened has nobody in
it: running there waits forever, and so does closing it, which joins threads that are not there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakSet


class ForkSafe:
    """An open session; in a forked child it is opened again when it is first used there.

    It has all that the session itself has: ``run``, ``get_inputs`` and so on.

    Parameters
    ----------
    reopen : callable
        Opens the session. Called at once, once more in every child that uses it, and after `rest`.
    require : callable, optional
        Called before each run; raises where there must be none.
    """

    def __init__(
        self, reopen: Callable[[], Any], require: Callable[[], None] | None = None
    ) -> None:
        self._reopen, self._require = reopen, require
        self._here: tuple[int, Any] = (os.getpid(), reopen())
        self._rested = False
        _LIVE.add(self)

    def rest(self) -> None:
        """Let go of the session and its memory until it is used again; then it stays.

        For one that may not be needed any more. That it was is known the second time, when nothing
        is done: whoever uses it again and again waits for it once.
        """
        pid, session = self._here
        if not self._rested and session is not None and pid == os.getpid():
            self._rested, self._here = True, (pid, None)

    @property
    def session(self) -> Any:
        """The session of this process."""
        pid, session = self._here
        if pid != os.getpid() or session is None:
            # Two threads that come here at once open one each, and the first is let go of.
            session = self._reopen()
            self._here = (os.getpid(), session)
        return session

    def run(
        self, wanted: Sequence[str] | None, feeds: Mapping[str, Any], options: Any = None
    ) -> list[Any]:
        """Run once; raises what onnxruntime raises."""
        if self._require is not None:
            self._require()
        found: list[Any] = self.session.run(wanted, feeds, options)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def inherited(self) -> Any:
        """The session that was last opened, whichever process did it; None while it rests."""
        return self._here[1]


_LIVE: WeakSet[ForkSafe] = WeakSet()


def _in_child() -> None:
    """In a forked child: see to it that nothing of onnxruntime that the parent opened is closed."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # without ctypes, or glibc
        import ctypes  # noqa: PLC0415  # for children alone

        for held in tuple(_LIVE):
            # A reference that nobody gives back; those of a list would be, at exit.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held.inherited()))
        # From 1.29 on onnxruntime waits at exit for threads of its own, which are not here either.
        # Of all that is done at exit this is done first; Python's own part is over by then.
        libc = ctypes.CDLL(None)
        libc.on_exit(libc["_exit"], None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
