"""The child: confines itself, then answers one call after another until its stdin ends."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from onnxlin import limits
from onnxlin.errors import OnnxlinError
from onnxlin.runtime.sandbox import confine, frames, stages

Answer = tuple[dict[str, Any], list[bytes]]

DEEPEST = 60
"""Frames of a traceback that are told: the innermost."""


def main() -> None:
    """Serve the parent: frames on stdin, and on what was stdout."""
    asks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What native code prints goes where the parent keeps the end of it.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    first = frames.receive(asks)
    if first is None:
        return
    _confined(first[0])
    frames.send(answers, {"ready": True})
    stages.listen(_teller(answers))
    while (ask := frames.receive(asks)) is not None:
        head, blobs = ask
        confine.hold_processor(head["time"])
        with limits.raised(**head["limits"]):
            answer, made = _answered(head, blobs)
        frames.send(answers, answer, made)


def _confined(ask: dict[str, Any]) -> None:
    """Take limits on; the modules come first, as they are not what the limits are for."""
    confine.die_with_parent()
    confine.leave_no_core()
    faulthandler.enable(file=2)
    if hasattr(faulthandler, "register"):  # not on Windows
        faulthandler.register(signal.SIGUSR1, file=2)
        faulthandler.register(signal.SIGXCPU, file=2, chain=True)
    for name in ask["modules"]:
        import_module(name)
    confine.hold_memory(ask["memory"])


def _teller(answers: BinaryIO) -> Callable[[str], None]:
    """Tell the stages apart, once where one comes again and again."""
    last, at = "", 0.0

    def tell(stage: str) -> None:
        nonlocal last, at
        if stage != last or time.monotonic() - at > 1:
            last, at = stage, time.monotonic()
            frames.send(answers, {"stage": stage})

    return tell


def _answered(head: dict[str, Any], blobs: list[bytes]) -> Answer:
    """Call a function by its name, ``module:function``."""
    place, _, name = head["call"].partition(":")
    stages.reached("working")
    try:
        answer, made = getattr(import_module(place), name)(head["arguments"], blobs)
    except OnnxlinError as error:
        return {"error": type(error).__name__, "text": str(error)}, []
    except MemoryError as error:
        where = traceback.format_exc(limit=-DEEPEST)
        return {"error": "MemoryError", "text": str(error), "trace": where}, []
    except Exception as error:  # the one door to the parent, which reports it
        where = traceback.format_exc(limit=-DEEPEST)
        return {"error": type(error).__name__, "text": str(error), "trace": where}, []
    return {"answer": answer}, made
