"""Where along a path another row becomes the largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.primitives import Array


@dataclass(frozen=True)
class Change:
    """A t at which another row becomes the largest."""

    t: float
    before: int
    after: int


def changes_of(t: Array, left: Array, right: Array, at_ends: Array) -> list[Change]:
    """Every t at which another row becomes the largest: the upper envelope on each piece.

    ``at_ends (2, rows)`` is F at both ends, from which it may jump at once.
    """
    found: list[Change] = []
    if not left.shape[1]:
        return found
    top = int(at_ends[0].argmax())
    for i in range(len(left)):
        start, end = left[i], right[i]
        if start[top] < start.max():  # the function jumped
            found.append(Change(float(t[i]), top, top := int(start.argmax())))
        at = 0.0
        while end[top] < end.max():
            at, after = _overtaken(start, end, top, at)
            found.append(Change(float(t[i] + at * (t[i + 1] - t[i])), top, after))
            top = after
    if at_ends[1][top] < at_ends[1].max():  # it jumps where it arrives
        found.append(Change(float(t[-1]), top, int(at_ends[1].argmax())))
    return found


def _overtaken(start: Array, end: Array, top: int, at: float) -> tuple[float, int]:
    """Where, after a share of a piece, the first other row passes the top one, and which."""
    ahead, closing = start[top] - start, (end - start) - (end[top] - start[top])
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = np.where(closing > 0, ahead / closing, np.inf)
    meet = np.maximum(meet, at)
    first = meet.min()
    # Of those that pass together the steepest stays in front.
    rivals = np.flatnonzero(meet == first)
    return float(first), int(rivals[closing[rivals].argmax()])
