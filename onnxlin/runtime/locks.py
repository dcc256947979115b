"""Locks that a forked child finds open: whoever held them in its parent is not there any more."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from weakref import WeakSet


class ForkSafeLock:
    """A lock for one thread at a time, open in every child that is forked while it is held."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _LOCKS.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it; wait for whoever does."""
        with self._lock:
            yield

    def renew(self) -> None:
        """Let it be open, as a lock of its own; what holds the old one lets go of that."""
        self._lock = threading.Lock()


_LOCKS: WeakSet[ForkSafeLock] = WeakSet()


def _in_child() -> None:
    """In a forked child: open all that others held."""
    for lock in tuple(_LOCKS):
        lock.renew()
    if sys.version_info < (3, 12):  # later ones have no lock
        _open_properties()


def _open_properties() -> None:
    """Open the locks of cached properties: until Python 3.12 each has one, for all instances."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("onnxlin.")]
    for kind in [each for module in modules for each in list(vars(module).values())]:
        if isinstance(kind, type):
            for own in vars(kind).values():
                if isinstance(own, cached_property):
                    vars(own)["lock"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
