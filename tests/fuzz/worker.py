"""In the child: make an input, go in by a few entry points, and say what became of it."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from onnxlin import limits
from onnxlin.errors import ResidualError, RuleError
from onnxlin.testing import LawError
from tests.fuzz import broken as making
from tests.fuzz import entries
from tests.fuzz.broken import Broken
from tests.fuzz.verdicts import CAUGHT, RIGHT, WRONG, Verdict, of_error

Answer = tuple[dict[str, Any], list[bytes]]

MODULES = (
    "onnxlin",
    "onnxruntime",
    "onnxlin.cli",
    "onnxlin.readings",
    "onnxlin.testing.assertions",
)

# Far below what a user gets: what small models are let do, a worker must be able to carry.
LIMITS = {
    "file_bytes": 2**26,
    "nodes": 5_000,
    "trips": 1_000,
    "entries": 2**22,
    "pixels": 2**20,
    "unpacked_bytes": 2**26,
}


def attempt(asked: dict[str, Any], blobs: list[bytes]) -> Answer:
    """Try the input of one index, or the one given."""
    start = time.perf_counter()
    held = asked.get("broken")
    broken = (
        Broken.from_json(held)
        if held
        else making.make(Path(asked["subjects"]), asked["seed"], asked["index"])
    )
    work = Path(asked["work"])
    names = asked.get("entries") or entries.chosen(broken)
    found = [judged(broken, name, work).as_json() for name in names]
    seconds = time.perf_counter() - start
    return {"verdicts": found, "kind": broken.kind, "seconds": seconds}, []


def judged(broken: Broken, entry: str, work: Path) -> Verdict:
    """Go in by one entry point and judge what comes out."""
    try:
        with limits.raised(**LIMITS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entries.hold(broken, entry, work)
    except (Exception, SystemExit) as error:  # the point of it: whatever comes is judged
        found = of_error(entry, error)
        told = isinstance(error, ResidualError | RuleError | LawError)
        if found.verdict == WRONG and told and not is_valid(broken):
            return Verdict(entry, CAUGHT, type(error).__name__)
        return found
    finally:
        entries.clean(work)
    return Verdict(entry, RIGHT)


def is_valid(broken: Broken) -> bool:
    """Whether a model is what the specification allows, as far as onnx's own checker knows."""
    if broken.kind != "model":
        return True
    try:
        onnx.checker.check_model(onnx.ModelProto.FromString(broken.data), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, DecodeError):
        return False
    except (ValueError, TypeError, RuntimeError):  # it can't even be told
        return False
    return True
