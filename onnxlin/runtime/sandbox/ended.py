"""Why a child has ended: its signal, the limit that it met, and where it was."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

from onnxlin.errors import SandboxError
from onnxlin.runtime.sandbox.stages import STAGES
from onnxlin.runtime.sandbox.value import Sandbox

# What C++, NumPy and onnxruntime say where they get no memory.
OUT_OF_MEMORY = re.compile(
    r"bad[ _]alloc|MemoryError|unable to allocate|failed to allocate|out of memory|"
    r"cannot allocate memory|allocation failed|resource temporarily unavailable",
    re.IGNORECASE,
)
# A line of faulthandler's or of a traceback.
FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+),? in (?P<name>\S+)')
OWN = re.compile(r"onnxlin[\\/](?P<rest>.*\.py)$")
# Whose code a line of Python stands before -> the stage that it is.
FOREIGN = (
    (re.compile(r"onnx[\\/]shape_inference\.py"), "typing"),
    (re.compile(r"onnxruntime_inference_collection\.py\", line \d+,? in run\b"), "running"),
    (re.compile(r"onnxruntime_inference_collection\.py"), "loading"),
    (re.compile(r"onnx[\\/](__init__|serialization)\.py"), "reading"),
)
UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
ADVICE = (
    "The model, or the code of onnx or onnxruntime on this model, is at fault; do not run it "
    "outside of a sandbox."
)


def crashed(code: int | None, said: str, stage: str, sandbox: Sandbox) -> SandboxError:
    """Describe a child that has ended by itself.

    Parameters
    ----------
    code : int, optional
        As `subprocess.Popen.returncode`: negative for a signal; None if it still runs.
    said : str
        The end of what it has printed on stderr.
    stage : str
        The last that it has told.
    """
    name, stage = _signal(code), seen(stage, said)
    where = _where(stage, said)
    if name == "SIGXCPU":
        return late(said, stage, sandbox)
    if OUT_OF_MEMORY.search(said) or name == "SIGKILL":
        return exhausted(f"{name or f'exit code {code}'}, {where}", stage, place(said), sandbox)
    how = f"was ended by {name}" if name else f"ended with exit code {code}"
    if code is None:
        how = "answered with what is no answer"
    last = _last(said)
    text = f"The sandboxed process {how}, {where}. {ADVICE}"
    text += f" Its last words: {last}" if last else ""
    return SandboxError(text, stage=stage, signal=name or f"exit {code}", place=place(said))


def late(said: str, stage: str, sandbox: Sandbox) -> SandboxError:
    """Describe a child that took too long."""
    stage = seen(stage, said)
    return SandboxError(
        f"The sandboxed process had no answer within {sandbox.time:g} s (time), "
        f"{_where(stage, said)}. The model asks for endless or very long work; if you trust it, "
        "give more time: Sandbox(time=...), or --time on the command line.",
        stage=stage, limit="time", place=place(said),
    )  # fmt: skip


def exhausted(how: str, stage: str, at: str | None, sandbox: Sandbox) -> SandboxError:
    """Describe a child that asked for more memory than it may have."""
    return SandboxError(
        f"The sandboxed process ran out of its memory of {sandbox.memory} ({how}). If you trust "
        "the model, give more: Sandbox(memory=...), or --memory on the command line.",
        stage=stage, limit="memory", place=at,
    )  # fmt: skip


def foreign(kind: str, text: str, trace: str, stage: str) -> SandboxError:
    """Describe an exception that is none of onnxlin's own."""
    at = raised_at(trace)
    last = UNPRINTABLE.sub(" ", f"{kind}: {text}")[:300]
    return SandboxError(
        f"The sandboxed process raised what onnxlin does not foresee: {last}"
        f"{f' (at {at})' if at else ''}. Please report it with the model: SECURITY.md says how.",
        stage=stage, place=at,
    )  # fmt: skip


def raised_at(trace: str) -> str | None:
    """Return the innermost line of onnxlin's in a traceback of Python's, if there is one."""
    return next(reversed(list(_own(trace))), None)


def place(said: str) -> str | None:
    """Return the same of what faulthandler has printed, whose innermost lines come first.

    The thread that died comes last; where it is one of native code's, the others say more.
    """
    threads = said[said.rfind("Current thread") :], said
    return next((at for text in threads for at in _own(text)), None)


def seen(stage: str, said: str) -> str:
    """Return the stage in which the lines of its thread show a process, else the last it told."""
    current = said[said.rfind("Current thread") :] if "Current thread" in said else ""
    return next((name for line, name in FOREIGN if line.search(current)), stage)


def _own(text: str) -> Iterator[str]:
    for found in FRAME.finditer(text):
        file = OWN.search(found["file"])
        if file and not file["rest"].replace("\\", "/").startswith("runtime/sandbox/"):
            yield f"onnxlin/{file['rest']}:{found['line']}, in {found['name']}"


def _where(stage: str, said: str) -> str:
    at = place(said)
    return STAGES.get(stage, "at work") + (f" (at {at})" if at else "")


def _signal(code: int | None) -> str | None:
    if code is None or code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _last(said: str) -> str:
    """The last line that native code has printed, without what faulthandler adds."""
    own = said.split("Fatal Python error", maxsplit=1)[0]
    lines = [line.strip() for line in own.splitlines() if line.strip()]
    return UNPRINTABLE.sub(" ", lines[-1])[:300] if lines else ""
