"""Ctrl-C and SIGTERM while a command runs: one line on stderr and an exit code, at any moment.

What is imported here is cheap, so that it stands before anything that takes long to import.

A signal raises `Stopped` where the command is, and its files are left in order. It ends the process
at once where that would be lost or come late: while modules are imported, as half of them turn any
exception into another one; where nobody can take an exception; and after `GRACE` seconds, as long
as the command is inside of onnxruntime or NumPy, which return to Python when they are done.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

INTERRUPTED, TERMINATED = 130, 143
GRACE = 2.0

WORDS = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}
_CODES = {int(signal.SIGINT): INTERRUPTED, int(signal.SIGTERM): TERMINATED}
_SHOW_CURSOR = b"\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """A signal has asked the command to stop."""


def say(code: int) -> None:
    """Say on stderr, past all buffers, what has ended the command."""
    try:
        cursor = _SHOW_CURSOR if os.isatty(2) else b""  # bars hide it
        os.write(2, cursor + f"onnxlin: {WORDS[code]}\n".encode())
    except OSError:  # nobody listens
        pass


class Watch:
    """What signals do to a command of which this process is nothing but.

    Attributes
    ----------
    code : int or None
        Exit code of the first signal that came, whatever became of its exception.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._loading, self._over = True, threading.Event()
        self._unraisable = sys.unraisablehook

    def start(self) -> None:
        """Take the signals over; those that the caller ignores stay ignored."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        # Called by the system's own handler: threads get to know of a signal at once.
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, args=(read,), daemon=True).start()
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, None)):
            if signal.getsignal(number) in (usual, signal.SIG_DFL):
                signal.signal(number, self._come)
        sys.unraisablehook = self._unraised

    def loaded(self) -> None:
        """Say that the modules are there: from now on signals raise."""
        self._loading = False

    def end(self) -> None:
        """Say that the command is over: what comes now changes nothing."""
        self._over.set()
        if signal.getsignal(signal.SIGTERM) == self._come:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) == self._come:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)

    def _come(self, number: int, _: FrameType | None) -> None:
        code = _CODES[number]
        if self._loading or self.code is not None:
            self._leave(code)
        self.code = code
        raise Stopped

    def _wait(self, read: int) -> None:
        """Wait for a signal, and then for the command to end."""
        code = None
        while code is None:
            code = next((_CODES[n] for n in os.read(read, 1) if n in _CODES), None)
        if not self._over.wait(GRACE):
            self._leave(code)

    def _leave(self, code: int) -> None:
        say(code)
        os._exit(code)

    def _unraised(self, lost: Any) -> None:
        """End the process where an exception that should end it has nobody to take it."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._leave(self.code or INTERRUPTED)
        self._unraisable(lost)


def is_ours() -> bool:
    """Whether signals can be taken over: by the first thread alone."""
    return threading.current_thread() is threading.main_thread()
