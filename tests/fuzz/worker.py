"""In the child: make an input, go in by a few entry points, and say what became of it."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

from onnxlin import limits
from tests.fuzz import broken as making
from tests.fuzz import entries
from tests.fuzz.broken import Broken
from tests.fuzz.verdicts import RIGHT, Verdict, of_error

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
        return of_error(entry, error)
    finally:
        entries.clean(work)
    return Verdict(entry, RIGHT)
