"""Processors that this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """How many there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
