"""A child process with limits, seen from the parent: calls go in, answers or errors come out."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

from onnxlin import errors, limits
from onnxlin.errors import OnnxlinError, SandboxError
from onnxlin.runtime.sandbox import ended, frames
from onnxlin.runtime.sandbox.stages import STAGES
from onnxlin.runtime.sandbox.value import Sandbox

# -P: what lies in the working directory is not imported, as little as by the `onnxlin` command.
BOOT = (
    "import sys; sys.path[:] = sys.argv[1:]; from onnxlin.runtime.sandbox.child import main; main()"
)
KEPT = 2**16
"""Bytes of what a child prints that are kept: the last ones."""
START = 120.0
"""Seconds that an interpreter may take to start; no model has been touched by then."""
DYING = 2.0
"""Seconds for a child that has closed its pipe to end."""


class Child:
    """A fresh interpreter, confined, that answers calls until it is closed or dies.

    Parameters
    ----------
    sandbox : Sandbox
        Its memory, and the time of each call.
    modules : names
        To import before the limits hold: what they take is not counted.

    Raises
    ------
    SandboxError
        It does not start.
    """

    def __init__(self, sandbox: Sandbox, modules: Sequence[str] = ()) -> None:
        self.sandbox = sandbox
        self.stage = "starting"
        self._said = bytearray()
        self._frames: queue.SimpleQueue[frames.Frame | None] = queue.SimpleQueue()
        self._process = _started()
        for read in (self._hear, self._listen):
            threading.Thread(target=read, daemon=True).start()
        try:
            self._tell({"modules": list(modules), "memory": sandbox.bytes})
            self._next(time.monotonic() + START)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        return self._process.poll() is None

    def call(
        self, function: str, arguments: dict[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[Any, list[bytes]]:
        """Call a function in the child.

        Parameters
        ----------
        function : str
            ``module:function``; it takes the arguments and the blobs and returns such a pair.
        arguments : dict
            Whatever JSON can hold.
        blobs : sequence of bytes

        Raises
        ------
        SandboxError
            The child died, took too long, ran out of memory, or raised what it should not.
        OnnxlinError
            What the function raised.
        """
        self.stage = "working"
        # Tracebacks of older calls are none of this one's.
        self._said.clear()
        end = time.monotonic() + self.sandbox.time
        try:
            self._tell(
                {
                    "call": function,
                    "arguments": arguments,
                    "time": self.sandbox.time,
                    "limits": asdict(limits.current()),
                },
                blobs,
            )
            head, made = self._next(end)
        except BaseException:  # Ctrl-C, too: nothing that runs on is of use
            self.close()
            raise
        if "error" in head:
            raise self._raised(head)
        return head.get("answer"), made

    def close(self) -> None:
        """Kill it, with all that it has started."""
        with contextlib.suppress(OSError):
            # Once it has been waited for, another process may have its number.
            if self._process.poll() is None and os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, head: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        try:
            frames.send(_stream(self._process.stdin), head, blobs)
        except (OSError, ValueError):  # a broken pipe, or one that was closed with the child
            raise self._died() from None

    def _next(self, end: float) -> frames.Frame:
        """Wait for the next answer; note the stages on the way to it."""
        while True:
            try:
                found = self._frames.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                raise self._late() from None
            if found is None:
                raise self._died()
            if "stage" not in found[0]:
                return found
            stage = found[0]["stage"]
            self.stage = stage if stage in STAGES else self.stage

    def _hear(self) -> None:
        """Hand on what the child answers, in a thread, as a pipe has no clock."""
        stream = _stream(self._process.stdout)
        found: frames.Frame | None = ({}, [])
        while found is not None:
            try:
                found = frames.receive(stream)
            except (OSError, ValueError):  # closed meanwhile
                found = None
            self._frames.put(found)

    def _listen(self) -> None:
        """Keep the end of what the child prints."""
        stream = _stream(self._process.stderr)
        with contextlib.suppress(OSError, ValueError):
            while some := os.read(stream.fileno(), 4096):
                self._said += some
                del self._said[:-KEPT]

    def _late(self) -> SandboxError:
        """Have a child say where it is, which it does even inside of native code; then give up."""
        with contextlib.suppress(OSError, AttributeError):
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
        return ended.late(self._words(), self.stage, self.sandbox)

    def _died(self) -> SandboxError:
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(DYING)
        time.sleep(0.05)  # its last words are on the way
        return ended.crashed(code, self._words(), self.stage, self.sandbox)

    def _words(self) -> str:
        return bytes(self._said).decode("utf-8", "replace")

    def _raised(self, head: dict[str, Any]) -> OnnxlinError:
        name, text = str(head["error"]), str(head.get("text", ""))
        trace = head.get("trace")
        if name == "MemoryError" or (trace is None and ended.OUT_OF_MEMORY.search(text)):
            at = ended.raised_at(trace or "")
            return ended.exhausted(text or name, self.stage, at, self.sandbox)
        kind = getattr(errors, name, None)
        if trace is None and isinstance(kind, type) and issubclass(kind, OnnxlinError):
            return kind(text)
        return ended.foreign(name, text, str(trace), self.stage)


def _started() -> subprocess.Popen[bytes]:
    """Start an interpreter that finds what this one finds, in a group of its own.

    Ctrl-C then reaches the parent alone, which kills the child.
    """
    path = [entry for entry in sys.path if isinstance(entry, str)]
    # An allocator with few arenas reserves less, and what it is given says more.
    surroundings = {"MALLOC_ARENA_MAX": "2", **os.environ}
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings,
            start_new_session=os.name == "posix",
        )
    except OSError as error:
        raise SandboxError(
            f"No process could be started for the sandbox: {error}. sys.executable is "
            f"{sys.executable!r}; it must be a Python that has onnxlin."
        ) from error


def _stream(stream: Any) -> BinaryIO:
    assert stream is not None
    return stream
