"""Processors that this process may use."""

from __future__ import annotations

import os

from onnxlin.runtime.share import share


def cores() -> int:
    """How many there are, or its share of them."""
    return share() or _there()


def _there() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
