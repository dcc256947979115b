"""W is the slope of F."""

from __future__ import annotations

import numpy as np

from onnxlin.readings.region.walls import curved_steps
from onnxlin.section import STRAIGHT
from onnxlin.testing.bounds.differences import assert_tangent
from onnxlin.testing.laws.alone import sloped_wrongly
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, NotApplicable


def slope(subject: Subject, feeds: Feeds, mode: str) -> None:
    """``W s`` is the difference of F beside x, along a random direction.

    True of the tangent, and of the frozen map where no node is smooth: else that holds at x alone.
    """
    lin, at = subject.movable(feeds, mode)
    m = lin(at, subject.rows(feeds, mode), "reverse", np.float64)
    curved = curved_steps(m.made_from("the law").program)
    statuses = {step.status: step.node for step in curved}
    if node := statuses.get("frozen"):
        what = f"{node.op_type} {node.name!r}"
        raise NotApplicable(
            f"the frozen map is no slope: it equals F at x alone ({what} is frozen)"
        )
    if STRAIGHT in statuses:
        raise NotApplicable("straight-through rounding is no slope of a staircase")
    try:
        assert_tangent(lin, at, m)
    except LawError as error:
        departs = error.node or sloped_wrongly(subject, feeds, mode)
        raise LawError("differences", mode, error.expected, error.found, departs) from error
