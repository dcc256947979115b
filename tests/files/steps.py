"""Faults at every step of writing: calls of the system are counted, and one goes wrong."""

from __future__ import annotations

import errno
import io
import os
import signal
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from onnxlin import files

STEPS = ("open", "close", "fsync", "replace", "link", "unlink", "chmod", "chown", "dup")


class Counted:
    """Counts steps, before and after each call, and acts at one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at, self.act, self.count = at, act, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.act()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            self.step()
            found = call(*args, **more)
            if self.act is not full:  # what has been done is no error any more
                self.step()
            return found

        return counted


@contextmanager
def acting(at: int, act: Callable[[], None]) -> Iterator[Counted]:
    """Call ``act`` at one step of writing; ``count`` is how many there were in the end."""
    counted = Counted(at, act)
    system = types.SimpleNamespace(**vars(os))
    for name in STEPS:
        # A disk that is slow to flush has nothing to do with the order of steps.
        call = getattr(os, name) if name != "fsync" else lambda descriptor: None
        setattr(system, name, counted.around(call))

    class Raw(io.FileIO):
        def write(self, data: Any) -> Any:
            counted.step()
            done = super().write(memoryview(data)[: len(data) // 2])
            counted.step()  # in the middle of it
            return done + super().write(memoryview(data)[done:])

    kept = files.os, files.io, files.ROOM
    files.os, files.io = system, types.SimpleNamespace(**{**vars(io), "FileIO": Raw})
    files.ROOM = 2**15  # so that small files are written in several steps
    try:
        yield counted
    finally:
        files.os, files.io, files.ROOM = kept


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at_every_step(write: Callable[[], None], is_whole: Callable[[], None]) -> int:
    """Fork, kill the child at its n-th step, look at what is left; for all n until one ends well.

    For a process without threads. Returns how many were killed.
    """
    at = 0
    while True:
        at += 1
        child = os.fork()
        if child == 0:
            try:
                with acting(at, kill):
                    write()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        is_whole()
        if not os.WIFSIGNALED(status):
            return at - 1
