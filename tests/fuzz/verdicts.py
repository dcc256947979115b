"""What becomes of an input at an entry point, and when two faults are one."""

from __future__ import annotations

import re
import traceback
from dataclasses import asdict, dataclass
from typing import Any

from onnxlin.errors import (
    OnnxlinError,
    ResidualError,
    RuleError,
    SandboxError,
    UndecidedError,
)

RIGHT, REFUSED, UNDECIDED = "right", "refused", "undecided"
CAUGHT = "caught"
"""onnxlin says itself that a map is wrong: of a model that is not valid, or past floats' range."""
FOREIGN, WRONG, HANG, CRASH, MEMORY = "foreign", "wrong", "hang", "crash", "memory"
NATIVE = "native"
"""onnx or onnxruntime crashed or hung, and the sandbox has said so; nobody else can."""
FAULTS = (FOREIGN, WRONG, HANG, CRASH, MEMORY)


class WrongError(AssertionError):
    """An answer that is not what the model computes."""


@dataclass(frozen=True)
class Verdict:
    """What became of one input at one entry point.

    ``key`` names the kind of fault: the same for the same exception at the same place.
    """

    entry: str
    verdict: str
    key: str = ""
    text: str = ""

    def as_json(self) -> dict[str, str]:
        """Plain data."""
        return asdict(self)


def of_error(entry: str, error: BaseException) -> Verdict:
    """Judge what an entry point raised."""
    kind = type(error).__name__
    if isinstance(error, UndecidedError):
        return Verdict(entry, UNDECIDED, kind)
    if isinstance(error, ResidualError) and re.search(r"\b(nan|inf)\b", str(error)):
        return Verdict(entry, CAUGHT, kind)
    # A rule that does not fit its node, or a map that is wrong, is no fault of the model's.
    if isinstance(error, WrongError | ResidualError | RuleError) or kind == "LawError":
        return Verdict(entry, WRONG, f"{WRONG} {kind} {_node(str(error))}", _traced(error))
    if isinstance(error, OnnxlinError):
        return Verdict(entry, REFUSED, kind)
    if isinstance(error, MemoryError):
        return Verdict(entry, MEMORY, f"{MEMORY} at {innermost(error)}", _traced(error))
    return Verdict(entry, FOREIGN, f"{kind} at {innermost(error)}", _traced(error))


def of_end(entry: str, error: SandboxError) -> Verdict:
    """Judge how a worker ended."""
    where = f"{error.place or error.stage}"
    where = re.sub(r":\d+, in ", ":", where)
    kind = {"time": HANG, "memory": MEMORY}.get(error.limit or "", CRASH)
    key = f"{kind} {error.signal or ''} at {where}"
    if error.stage in ("reading", "typing", "loading", "running"):
        return Verdict(entry, NATIVE, f"{NATIVE} {key}", str(error))
    return Verdict(entry, kind, key, str(error))


def innermost(error: BaseException) -> str:
    """Return the innermost function of onnxlin's in a traceback, ``file:name``."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/onnxlin/" in f.filename.replace("\\", "/")]
    if not own:
        return f"{frames[-1].filename}:{frames[-1].name}" if frames else "nowhere"
    file = own[-1].filename.replace("\\", "/").rpartition("/onnxlin/")[2]
    return f"onnxlin/{file}:{own[-1].name}"


def _node(text: str) -> str:
    """The operator that a report names first: faults of two operators are two."""
    found = re.search(r"departs: (\w+)|rule of (\w+)|outputs? of (\w+)", text)
    return next((group for group in found.groups() if group), "") if found else ""


def _traced(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-12))[-3000:]


def counted(verdicts: list[dict[str, Any]]) -> str:
    """Return the name under which an input is counted."""
    worst = next((v for v in verdicts if v["verdict"] in (*FAULTS, NATIVE)), None)
    if worst is not None:
        return str(worst["verdict"])
    refused = next((v for v in verdicts if v["verdict"] == REFUSED), None)
    return (
        f"{REFUSED} {refused['key']}"
        if refused
        else str(verdicts[-1]["verdict"] if verdicts else RIGHT)
    )
