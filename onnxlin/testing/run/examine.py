"""Hold laws against a model at many x, and keep what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from onnxlin.errors import (
    InputError,
    MemoryBudgetError,
    OnnxlinError,
    TraceError,
    UnsupportedNodeError,
)
from onnxlin.testing.draw.draw import Drawn
from onnxlin.testing.laws.law import Law
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, NotApplicable

PASSED, NOT_APPLICABLE, FAILED, SKIPPED = "passed", "not applicable", "failed", "skipped"


@dataclass(frozen=True, eq=False)
class Finding:
    """What a law said at one x in one mode.

    Parameters
    ----------
    law, mode : str
    drawn : Drawn
        The x.
    verdict : str
        "passed", "not applicable", "failed" or "skipped" (no time was left).
    reason : str
        Why, where it did not pass.
    error : LawError, optional
        Where it failed.
    seconds : float
    """

    law: Law
    mode: str
    drawn: Drawn
    verdict: str
    reason: str = ""
    error: LawError | None = None
    seconds: float = 0.0


def examine(
    subject: Subject,
    points: Iterable[Drawn],
    laws: Sequence[Law],
    modes: Sequence[str],
    *,
    seconds: float = float("inf"),
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Finding]:
    """Hold every law at every point in every mode, until the time is up; then skip the rest.

    The first law in the first mode is always held: a run says something.
    """
    end, first = clock() + seconds, True
    for drawn in points:
        for mode in modes:
            for law in laws:
                if not first and clock() >= end:
                    yield Finding(law, mode, drawn, SKIPPED, "no time was left")
                    continue
                first = False
                yield hold(subject, drawn, law, mode)


def hold(subject: Subject, drawn: Drawn, law: Law, mode: str) -> Finding:
    """Hold one law at one point.

    Where the model gives no finite answer at a drawn x, or a node there has no piece, there is no
    map to say anything of. Where there is one, an error on the way is a failure.
    """
    start = time.monotonic()
    verdict, reason, found = _held(subject, drawn.feeds, law, mode)
    return Finding(law, mode, drawn, verdict, reason, found, time.monotonic() - start)


def _held(subject: Subject, feeds: Feeds, law: Law, mode: str) -> tuple[str, str, LawError | None]:
    try:
        subject.map(feeds, mode)
    except (TraceError, InputError, UnsupportedNodeError) as error:
        return NOT_APPLICABLE, f"there is no map at this x: {error}", None
    try:
        law.check(subject, feeds, mode)
    except LawError as error:
        return FAILED, str(error), error
    except (NotApplicable, MemoryBudgetError) as error:
        return NOT_APPLICABLE, str(error), None
    except OnnxlinError as error:
        failure = LawError(law.name, mode, law.about, f"{type(error).__name__}: {error}")
        return FAILED, str(failure), failure
    return PASSED, "", None


def fails_alike(subject: Subject, finding: Finding) -> Callable[[Feeds], bool]:
    """Return a test of other x: whether the same law fails there, and the same node departs first.

    The node is told from the others by its description up to the index and the numbers.
    """
    assert finding.error is not None
    wanted = place(finding.error)

    def test(feeds: Feeds) -> bool:
        found = hold(subject, Drawn("", "", dict(feeds)), finding.law, finding.mode)
        return found.error is not None and place(found.error) == wanted

    return test


def place(error: LawError) -> tuple[str, str]:
    """Law, and operator and node of what departs."""
    node = error.node or ""
    return error.law, node.partition(", output")[0]
