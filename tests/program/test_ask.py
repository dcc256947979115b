"""A rule that fails tells of its node, whatever it raised."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin.primitives import identity
from onnxlin.rules import Affine
from tests.small import model

X = np.array([0.5, -1.0], np.float32)
MODEL = "g (float[2] x) => (y) { [n] y = Tanh(x) }"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of shapes"),
        TypeError("no"),
        KeyError("axis"),
        IndexError(3),
        ZeroDivisionError("by 0"),
        AttributeError("none"),
        AssertionError("so"),
        OverflowError("huge"),
    ],
)
def test_what_a_rule_raises_names_the_node(error, monkeypatch) -> None:
    def fails(node):
        raise error

    broken = onnxlin.rules.Rule(fails)
    monkeypatch.setitem(onnxlin.RULES, ("", "Tanh"), broken)
    words = rf"rule of Tanh failed at node 'n': {type(error).__name__}: .*shapes \[\(2,\)\]"
    for engine in ("reverse", "compiled"):
        with pytest.raises(onnxlin.RuleError, match=words) as raised:
            onnxlin.linearize(model(MODEL), X, engine=engine)
        assert raised.value.__cause__ is error
    assert "Tanh failed at node 'n'" in str(onnxlin.check_model(model(MODEL)).not_compiled_because)


@pytest.mark.parametrize("error", [KeyboardInterrupt, onnxlin.UnsupportedNodeError, MemoryError])
def test_what_is_nobody_elses_goes_on(error, monkeypatch) -> None:
    def fails(node):
        raise error

    monkeypatch.setitem(onnxlin.RULES, ("", "Tanh"), onnxlin.rules.Rule(fails))
    with pytest.raises(error):
        onnxlin.linearize(model(MODEL), X)


def test_a_rule_that_looks_at_values_is_still_none_for_a_graph(monkeypatch) -> None:
    def looks(node):
        return Affine({0: identity(node.shape(0))} if float(node.value(0)[0]) > 0 else {})

    monkeypatch.setitem(onnxlin.RULES, ("", "Tanh"), onnxlin.rules.Rule(looks))
    with pytest.raises(onnxlin.CompileError, match="Tanh at node 'n'"):
        onnxlin.compile_model(model(MODEL))
