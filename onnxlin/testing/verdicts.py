"""What a law says: it holds (nothing), it is broken, or it has nothing to say here."""

from __future__ import annotations

import numpy as np

from onnxlin.errors import MissingRuleError, UnsupportedNodeError
from onnxlin.graph import Array
from onnxlin.texts import shown_lines

REPORT = (
    "Look at the rule of that node first. If it is not yours, report it with the model and this x; "
    "`onnxlin verify` writes both into a script that fails again."
)


class LawError(AssertionError):
    """A law does not hold: which one, what was expected, what was found, and where.

    Parameters
    ----------
    law, mode : str
        Name of the law, and the reading of smooth operators in which it was held against the model.
    expected, found : str
    node : str or None
        The first node that departs, in words; None where no node departs on its own.
    advice : str
        What to do.
    """

    def __init__(  # noqa: PLR0917  # args, so that pickle can make it again
        self,
        law: str,
        mode: str,
        expected: str,
        found: str,
        node: str | None = None,
        advice: str = REPORT,
    ) -> None:
        # All of them are args, so that the error survives the way from another process.
        super().__init__(law, mode, expected, found, node, advice)
        self.law, self.mode, self.node = law, mode, node
        self.expected, self.found, self.advice = expected, found, advice

    def __str__(self) -> str:
        departs = self.node or "none, every node agrees with the run on its own"
        return shown_lines(
            f"Law {self.law!r} does not hold (mode={self.mode!r}).\n"
            f"  expected: {self.expected}\n"
            f"  found: {self.found}\n"
            f"  first node that departs: {departs}\n"
            f"  what to do: {self.advice}"
        )


class NoMapError(LawError, MissingRuleError, UnsupportedNodeError):
    """There is no map for the laws to be held against: nodes have no rule, or none for their use.

    It is the failure of a test, and the error that `onnxlin.linearize` raises there.
    """

    def __init__(self, why: str) -> None:
        super().__init__("rules", "tangent, frozen", "every node on the way has a rule", why)
        self.args = (why,)

    def __str__(self) -> str:
        return shown_lines(self.found)


class NotApplicable(Exception):  # noqa: N818  # no error: the law has nothing to say here
    """A law has nothing to say at this x; the message is the reason."""


def worst(ours: Array, theirs: Array, allowed: Array) -> str | None:
    """Describe the entry that is furthest past what is allowed; None if none is. NaN is past."""
    gap = np.abs(ours - theirs)
    bad = ~(gap <= allowed)
    if not bad.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(bad, np.nan_to_num(gap / allowed, nan=np.inf), -1.0)
    at = np.unravel_index(int(np.argmax(excess)), gap.shape)
    place = ", ".join(str(i) for i in at)
    return (
        f"row {place}: {ours[at]:.9g} against {theirs[at]:.9g}, apart by {gap[at]:.3g} where "
        f"rounding allows {np.broadcast_to(allowed, gap.shape)[at]:.3g}"
    )
