"""Where a command begins and ends: signals and streams first, then what takes long to import."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from onnxlin.cli import stop, streams
from onnxlin.errors import FileError, OnnxlinError, ResidualError, SandboxError, UndecidedError

FAILED = 1
CODES = ((UndecidedError, 6), (ResidualError, 4), (SandboxError, 7))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (``onnxlin --help`` lists them).

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process, which is then taken for this command's own:
        its signals are taken over.
    """
    watch = None
    try:
        if argv is None and stop.is_ours():
            watch = stop.Watch()
            watch.start()
            streams.fill()
            # Pictures go to files alone; a backend that is not there must not matter.
            os.environ["MPLBACKEND"] = "agg"
            # From 1.29 on onnxruntime keeps a number of the device below HOME and reports its runs;
            # it says so on stderr where it cannot, and commands on private models should not.
            os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        code = _told(argv, watch)
        if watch is not None:
            watch.end()
    except KeyboardInterrupt:  # on the first steps and the last; another one ends the process
        code = (watch.code if watch is not None else None) or stop.INTERRUPTED
        stop.say(code)
        if watch is not None:
            watch.end()
    return code


def _told(argv: Sequence[str] | None, watch: stop.Watch | None) -> int:
    """Run a command with streams that say what they do not take."""
    try:
        with streams.watched():
            return _flushed(_run(argv, watch))
    except FileError as error:  # there is no standard output
        streams.tell(f"error: {error}")
        return FAILED


def _run(argv: Sequence[str] | None, watch: stop.Watch | None) -> int:
    """Run a command, say what went wrong with it, and return its exit code."""
    try:
        from onnxlin.cli.commands import run  # onnxruntime, SciPy, the rules

        if watch is not None:
            watch.loaded()
        code = run(argv)
    except BrokenPipeError:  # whoever reads has had enough
        streams.forget_stdout()
        code = 0
    except KeyboardInterrupt:
        code = stop.INTERRUPTED
    except MemoryError as error:
        streams.tell(f"error: out of memory ({error}). Ask for fewer --rows, or give --memory.")
        code = FAILED
    except OnnxlinError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return 0  # a pipe to write into, whose reader has gone
        streams.tell(f"error: {error}")
        code = next((code for kind, code in CODES if isinstance(error, kind)), FAILED)
    if watch is not None and watch.code is not None:
        code = watch.code  # whatever others have made of the exception on its way
    if code in stop.WORDS:
        streams.tell(stop.WORDS[code])
    return code


def _flushed(code: int) -> int:
    """Hand on what has been printed; what is not taken makes it a failure."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.forget_stdout()
    except FileError as error:
        streams.forget_stdout()
        if code != FAILED:  # else it has been told
            streams.tell(f"error: {error}")
        return FAILED
    return code
