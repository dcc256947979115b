"""Work counted in lines of onnxlin that run: the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tests.pages import ROOT

OWN = str(ROOT / "onnxlin")


def lines(call: Callable[[], object]) -> int:
    """Lines that a call runs, each as often as it runs; rounds of comprehensions are lines."""
    count = 0

    def inside(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return inside

    def entered(frame: FrameType, event: str, _: Any) -> Any:
        return inside if frame.f_code.co_filename.startswith(OWN) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def depth() -> int:
    """Frames on the stack."""
    frame, count = sys._getframe(), 0
    while frame is not None:
        count, frame = count + 1, frame.f_back  # type: ignore[assignment]
    return count
