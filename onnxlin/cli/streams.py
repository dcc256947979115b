"""Standard output and error as a command needs them: what cannot be written is told, or let be.

What is imported here is cheap; see `onnxlin.cli.stop`.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from onnxlin.errors import FileError

STDIN, STDOUT, STDERR = range(3)


class Out:
    """Standard output; what it does not take is a `FileError`, but for a reader who has gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or raise FileError; BrokenPipeError where the reader has gone."""
        return _told(lambda: self._stream.write(text))

    def flush(self) -> None:
        """Hand everything on; raises what `write` does."""
        _told(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Err:
    """Standard error; what it does not take is lost, as there is nobody to tell."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _told(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # ValueError: the stream has been closed
        what = getattr(error, "strerror", None) or error
        raise FileError(
            f"Cannot write to standard output: {what}. Nobody can read what was asked for: send it "
            "where there is room."
        ) from error


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` be these while a command runs.

    Raises
    ------
    FileError
        Standard output is closed: there is nowhere to print to.
    """
    before = sys.stdout, sys.stderr
    sys.stderr = Err(io.StringIO() if before[1] is None else before[1])
    try:
        if before[0] is None:
            raise FileError(
                "Standard output is closed: there is nowhere to print to. For no output, send it "
                f"to {os.devnull}."
            )
        sys.stdout = Out(before[0])
        with contextlib.ExitStack() as left:
            for stream in before:
                left.enter_context(_any_letter(stream))
            yield
    finally:
        sys.stdout, sys.stderr = before


@contextlib.contextmanager
def _any_letter(stream: Any) -> Iterator[None]:
    """Let a stream escape what its encoding lacks: names of files and nodes hold anything."""
    before = stream.errors if isinstance(stream, io.TextIOWrapper) else None
    _set_errors(stream, before and "backslashreplace")
    try:
        yield
    finally:
        _set_errors(stream, before)


def _set_errors(stream: Any, errors: str | None) -> None:
    # Doing so flushes the stream: what comes of that is told by whoever flushes it next.
    if errors is not None:
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=errors)


def fill() -> None:
    """Open what is closed of the first three descriptors, or the next file would become one."""
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free


def forget_stdout() -> None:
    """Let the interpreter flush into nothing at exit: nobody takes what is left."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it may be no file of a system
        number = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def tell(text: str) -> None:
    """Print a line on standard error."""
    print(f"onnxlin: {text}", file=sys.stderr)
