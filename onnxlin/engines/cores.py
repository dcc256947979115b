"""Processors that this process may use."""

from __future__ import annotations

import os

from onnxlin.runtime.share import share


def cores() -> int:
    """How many threads to have at work: as many as there are, or as somebody has said."""
    return share() or all_cores()


def all_cores() -> int:
    """How many there are, whatever has been said."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
