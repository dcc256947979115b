"""Findings: what passed, what failed, what has nothing to say, what was skipped."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin.testing.draw.draw import Drawn
from onnxlin.testing.laws.laws import LAWS, Law, LawError, NotApplicable, Subject
from onnxlin.testing.run.examine import examine, fails_alike, hold, place
from tests.small import X, mlp, model


def law(error: Exception | None) -> Law:
    """A law that raises."""

    def check(subject: Subject, feeds: object, mode: str) -> None:
        if error is not None:
            raise error

    return Law("mine", "what I say", check)


def at(x: object) -> Drawn:
    return Drawn("x", "given", {"x": np.asarray(x, np.float32)})


@pytest.mark.parametrize(
    ("error", "verdict", "words"),
    [
        (None, "passed", ""),
        (LawError("mine", "tangent", "a", "b"), "failed", "expected: a"),
        (NotApplicable("nothing to say"), "not applicable", "nothing to say"),
        (onnxlin.MemoryBudgetError("too large"), "not applicable", "too large"),
        (onnxlin.TraceError("no run"), "failed", "TraceError: no run"),
    ],
)
def test_what_a_law_raises_is_its_verdict(error, verdict: str, words: str) -> None:
    found = hold(Subject(mlp()), at(X), law(error), "tangent")
    assert found.verdict == verdict
    assert words in found.reason
    assert (found.error is not None) == (verdict == "failed")
    assert found.seconds >= 0


def test_an_x_without_a_map_is_not_the_fault_of_a_law() -> None:
    subject = Subject(model("g (float[2] x) => (float[2] y) { y = Log(x) }"))
    found = hold(subject, at([-1, 1]), law(None), "tangent")
    assert found.verdict == "not applicable"
    assert found.reason.startswith("there is no map at this x: Output 'y' is NaN")


def test_what_is_no_error_of_ours_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        hold(Subject(mlp()), at(X), law(ZeroDivisionError()), "tangent")


def test_the_first_law_is_held_whatever_the_time() -> None:
    found = list(examine(Subject(mlp()), [at(X)], LAWS, ("tangent", "frozen"), seconds=0))
    assert [f.verdict for f in found] == ["passed", *["skipped"] * (2 * len(LAWS) - 1)]


def test_failures_are_alike_by_law_and_node() -> None:
    same = "Relu at node 'a', output 'y'"
    nodes = iter([f"{same}(0, 1): 3 where 2", f"{same}(9)", "Relu at node 'b', output 'y'", None])

    def check(subject: Subject, feeds: object, mode: str) -> None:
        raise LawError("mine", mode, "a", "b", next(nodes))

    subject, mine = Subject(mlp()), Law("mine", "what I say", check)
    found = hold(subject, at(X), mine, "tangent")
    assert place(found.error) == ("mine", "Relu at node 'a'")
    again = fails_alike(subject, found)
    assert [again({"x": X + i}) for i in range(3)] == [True, False, False]
