"""What earlier calls have found out of one kind of question, so that later ones need not look.

To look for a cut, or how much is live, takes part of a second. Whoever makes the same calls finds
the same each time: nothing hangs on a clock.
"""

from __future__ import annotations

from typing import Any

MOST = 64
"""Kinds of questions that are kept in mind."""

FIRST, MORE = 3, 2
"""Calls for which nobody looks again at what is live; times as many after each further look."""

Asked = tuple[Any, ...]
"""See `onnxlin.linearizer.ask.asked_of`."""


class Found:
    """What is known of what has been asked."""

    def __init__(self) -> None:
        self._whole = set[Asked]()
        self._dense = dict[Asked, tuple[int, int]]()

    def whole(self, asked: Asked) -> None:
        """Keep in mind that a cut was looked for, and none paid."""
        if len(self._whole) == MOST:
            self._whole.clear()
        self._whole.add(asked)

    def is_whole(self, asked: Asked) -> bool:
        """Whether that is known."""
        return asked in self._whole

    def dense(self, asked: Asked) -> None:
        """Keep in mind that too much was live at this x for the live engine."""
        if len(self._dense) == MOST:
            self._dense.clear()
        calls, _ = self._dense.get(asked, (0, 0))
        calls = MORE * calls or FIRST
        self._dense[asked] = calls, calls

    def live(self, asked: Asked) -> None:
        """Forget that: at another x it was not so."""
        self._dense.pop(asked, None)

    def taken_for_dense(self, asked: Asked) -> bool:
        """Count a call for which nobody need look; False where somebody should, at its x."""
        calls, left = self._dense.get(asked, (0, 0))
        if left:
            self._dense[asked] = calls, left - 1
        return left > 0
