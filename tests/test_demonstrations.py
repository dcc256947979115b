"""The demonstrations run, and what they look for they find."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given

from onnxlin.testing import GrownModel, onnx_models
from tests.demonstrations import reference_evaluator
from tests.demonstrations.judge import (
    CRASH,
    DTYPE,
    SHAPE,
    VALUES,
    WITHIN,
    Call,
    calls,
    judge,
    judged_third,
)  # fmt: skip
from tests.demonstrations.reproducers import CASES
from tests.small import model


def call() -> Call:
    proto = model("g (float[2] x) => (float[2] y) { [act] y = Relu(x) }")
    return Call(proto, {"x": np.array([-1.0, 2.0], np.float32)})


def answer(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    """Plant an answer of the evaluator."""

    def planted(*_: object) -> list[object]:
        if isinstance(value, Exception):
            raise value
        return [value]

    monkeypatch.setattr(Call, "evaluate", planted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (ValueError("at axis -2 of (1, 3)"), CRASH),
        (np.zeros((1, 2), np.float32), SHAPE),
        (np.zeros(2), DTYPE),
        (0.0, DTYPE),
        (np.array([0.0, 2.5], np.float32), VALUES),
    ],
)
def test_a_planted_answer_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, value: object, kind: str
) -> None:
    answer(monkeypatch, value)
    found = judge(call())
    assert found is not None
    assert (found.op_type, found.kind) == ("Relu", kind)
    if kind == CRASH:
        assert found.detail == "ValueError: at axis # of (#)"
    if kind == VALUES:
        assert judged_third(found) == "onnxruntime"


def test_what_rounding_explains_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = np.array([0.0, 2.0], np.float32)
    answer(monkeypatch, exact)
    assert judge(call()) is None
    answer(monkeypatch, np.nextafter(exact, np.float32(3)) * (exact > 0))
    found = judge(call())
    assert found is not None
    assert found.kind == WITHIN


@given(onnx_models())
def test_every_node_alone_answers_what_it_did_in_the_graph(grown: GrownModel) -> None:
    whole = grown.tensors(floats=False)
    for one in calls(grown):
        onnx.checker.check_model(one.model)
        for name, value in zip(one.node.output, one.run(), strict=True):
            np.testing.assert_array_equal(value.astype(np.float64), whole[name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reproducers_run(case: object) -> None:
    """onnxruntime answers, and where onnxlin has a rule it has the same answer."""
    found = judge(case.call)
    if found is not None and found.third is not None:
        assert judged_third(found) in ("onnxruntime", "onnxruntime and the evaluator")


def test_the_search_counts_what_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    tally = reference_evaluator.Tally()
    reference_evaluator.sample(tally.take, ["Relu"], 5)
    assert tally.graphs == 5
    assert tally.nodes["Relu"] >= 5
    assert tally.bitwise["Relu"] == tally.nodes["Relu"]
    assert not tally.first
