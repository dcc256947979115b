"""The specification's own cases: what is supported must come out as the specification says.

Which cases those are is computed with `onnxlin.check_model`, and their number is written down
here, so that it cannot shrink unnoticed. ``pytest tests/test_spec_corpus.py -s`` lists the rest by
reason.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin.primitives import identity
from onnxlin.rules import Affine, NodeAtX, Rule
from tests.corpus import DepartsError, Outcome, assert_reproduces, cases, outcomes

# (onnx, onnxruntime) -> number of pairs of a case and the inputs that were linearised, by kind.
EXPECTED = {
    ("1.23.2", "1.32.0"): {
        "reproduced": 636,
        "obstacle": 1883,
        "no float": 531,
        "runtime": 54,
        "input": 26,
        "refused": 10,
        "departs": 2,
    },
}
VERSIONS = (onnx.__version__, onnxruntime.__version__)
# onnxruntime keeps align_corners exact where the cases round the output size, onnx issue 4583.
DEPARTS = {
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
}


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    return [outcome for case in cases() for outcome in outcomes(case)]


def test_supported_cases_are_reproduced(found: list[Outcome]) -> None:
    counts = Counter(outcome.kind for outcome in found)
    for (kind, reason), n in Counter((o.kind, o.reason[:90]) for o in found).most_common():
        print(f"{n:5} {kind}: {reason}")
    assert counts["reproduced"] > 0
    if VERSIONS in EXPECTED:
        assert counts == EXPECTED[VERSIONS]
        assert {o.case for o in found if o.kind == "departs"} == DEPARTS


def test_every_standard_rule_has_a_case(found: list[Outcome]) -> None:
    reproduced = {o.case for o in found if o.kind == "reproduced"}
    models = {case.name: case.model for case in cases()}
    seen = {n.op_type for name in reproduced for n in models[name].graph.node}
    assert {op_type for domain, op_type in onnxlin.RULES if not domain} - seen == WITHOUT_CASE


# Deprecated operators have no cases any more.
WITHOUT_CASE: set[str] = set()


@pytest.mark.parametrize("fault", ["slope", "bias", "expected"])
def test_a_wrong_value_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: a planted bug in a rule, or another expected value."""
    (case,) = (case for case in cases() if case.name == "test_leakyrelu")
    ((x,), (y,)) = case.data_sets[0]
    want = y + 1 if fault == "expected" else y
    rule = onnxlin.RULES["", "LeakyRelu"]

    def wrong(node: NodeAtX) -> Affine:
        piece = rule.function(node)
        if fault == "slope":
            return Affine({0: identity(node.shape(0))})
        return Affine(piece.terms, np.ones(node.out_shape))

    if fault != "expected":
        monkeypatch.setitem(onnxlin.RULES, ("", "LeakyRelu"), Rule(wrong))
    with pytest.raises(DepartsError if fault == "expected" else AssertionError):
        assert_reproduces(case, {"x": x}, {"y": want}, ("x",))
