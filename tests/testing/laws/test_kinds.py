"""A right map breaks no law: inputs of every kind and size, and x on a jump itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import onnxlin
from onnxlin.rules import Affine
from onnxlin.testing import assert_linearizes
from onnxlin.testing.bounds.differences import KinkError, assert_tangent
from onnxlin.testing.laws.laws import NotApplicable, Subject, named
from tests.small import model

ONE = """g (float[3] x) => (float[n] y)
    <float z = {{0}}, float o = {{1}}, int64[1] k = {{2}}> {{ {} }}"""
TIES = {
    "cast to bool": ("b = Cast<to=9>(x)  g = Cast<to=1>(b)  y = Mul(x, g)", [0, 1, 2]),
    "equal to": ("b = Equal(x, z)  n = Not(b)  y = Where(n, x, z)", [0, 1, 2]),
    "equal to, and a jump": ("b = Equal(x, z)  y = Where(b, o, x)", [0, 1, 2]),
    "greater": ("b = Greater(x, o)  g = Cast<to=1>(b)  y = Mul(x, g)", [0, 1, 2]),
    "two comparisons": (
        "a = Greater(x, z)  b = LessOrEqual(x, o)  c = And(a, b)  d = Cast<to=1>(c)  y = Mul(d, x)",
        [0, 1, 2],
    ),
    "floor": ("b = Floor(x)  y = Mul(x, b)", [0, 1, 2.5]),
    "round": ("b = Round(x)  y = Mul(x, b)", [0.5, 1.5, 2.5]),
    "sign": ("b = Sign(x)  y = Mul(x, b)", [0, 1, 2.5]),
    "remainder": ("y = Mod<fmod=1>(x, o)", [1, 2, -2]),
    "threshold": ("y = ThresholdedRelu<alpha=1.0>(x)", [1, 1.5, -2]),
    "an index": ("a = Cast<to=7>(x)  g = Gather(x, a)  y = Mul(x, g)", [0, 1, 2]),
    "an integer division": (
        "i = Cast<to=7>(x)  q = Div(i, k)  f = Cast<to=1>(q)  y = Mul(f, x)",
        [0, 2, 4],
    ),
    "the largest": ("a = ArgMax(x)  f = Cast<to=1>(a)  y = Mul(x, f)", [1, 1, 0.5]),
    "the largest two": ("y, i = TopK(x, k)", [1, 1, 0.5]),
    "places of the largest two": (
        "v, i = TopK(x, k)  f = Cast<to=1>(i)  y = Mul(v, f)",
        [1, 1, 0.5],
    ),
    "the one largest": ("y = Hardmax(x)", [1, 1, -2]),
    "what is not 0": ("i = NonZero(x)  j = Squeeze(i)  y = Gather(x, j)", [0, 1, 2.5]),
    "what is positive": ("b = Greater(x, z)  y = Compress(x, b)", [0, 1, 2.5]),
    "what differs": ("y = Unique(x)", [1, 1, 2.5]),
    "a length": ("s = ReduceSum<keepdims=0>(x)  r = Range(z, s, o)  y = Add(r, s)", [1, 1, 1]),
    "a branch": (
        """s = ReduceSum<keepdims=0>(x)  c = Greater(s, z)
        y = If<then_branch = a () => (float[3] p) { p = Relu(x) },
               else_branch = b () => (float[3] q) { q = Neg(x) }>(c)""",
        [1, -1, 0],
    ),
    "how often": (
        """m = Constant<value_int=5>()  t = Constant<value=bool {1}>()
        y = Loop<body = b (int64 i, bool c, float[3] v) => (bool d, float[3] w) {
            w = Add(v, x)  s = ReduceMax<keepdims=0>(w)  d = LessOrEqual(s, o) }>(m, t, x)""",
        [0.5, 0, 0],
    ),
}
BESIDE = {
    "a bool": (
        """g (float[3] x, bool t) => (float[3] y) {
        y = If<then_branch = a () => (float[3] p) { p = Relu(x) },
               else_branch = b () => (float[3] q) { q = Neg(x) }>(t) }""",
        {"x": np.float32([0.5, -1, 2]), "t": np.array(True)},
    ),
    "an integer": (
        "g (float[3] x, int64 n) => (float[3] y) { f = Cast<to=1>(n)  m = Mul(x, f)  y = Relu(m) }",
        {"x": np.float32([0.5, -1, 2]), "n": np.array(3)},
    ),
    "scalars alone": (
        "g (double x, double h) => (double y) { r = Relu(x)  y = Mul(r, h) }",
        {"x": np.array(2.0), "h": np.array(-3.0)},
    ),
    "bools": (
        "g (float[3] x, bool[3] k) => (float[3] y) <float z = {0}> { y = Where(k, x, z) }",
        {"x": np.float32([0.5, -1, 2]), "k": np.array([True, False, True])},
    ),
    "integers": (
        "g (float[3] x, int32[3] k) => (float[3] y) { f = Cast<to=1>(k)  y = Mul(x, f) }",
        {"x": np.float32([0.5, -1, 2]), "k": np.int32([1, 0, -3])},
    ),
    "the length of a list": (
        """g (float[4] x) => (float[4] y) { s = SplitToSequence<keepdims=0>(x)
        n = SequenceLength(s)  f = Cast<to=1>(n)  y = Mul(x, f) }""",
        {"x": np.float32([0, 1, 2, 3])},
    ),
    "an optional": (
        """g (float[2] x) => (float[2] y) { o = Optional(x)  h = OptionalHasElement(o)
        e = OptionalGetElement(o)  c = Cast<to=1>(h)  r = Relu(e)  y = Mul(r, c) }""",
        {"x": np.float32([0, 1])},
    ),
    "nothing": (
        "g (float[2] x, float[0] e) => (float[2] y) { y = Concat<axis=0>(x, e) }",
        {"x": np.float32([1, 2]), "e": np.zeros(0, np.float32)},
    ),
}
SIZE_0 = {
    "in and out": "g (float[0,3] x) => (float[0,3] y) { y = Relu(x) }",
    "in": "g (float[0,3] x) => (float[3] y) <int64[1] a = {0}> { y = ReduceSum<keepdims=0>(x, a) }",
    "out": """g (float[2] x) => (float[0] y) <int64[1] a = {0}> { s = Slice(x, a, a)
        y = Mul(s, s) }""",
}


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("name", TIES)
def test_on_a_jump(name: str, mode: str) -> None:
    body, at = TIES[name]
    assert_linearizes(model(ONE.format(body)), np.float32(at), mode=mode)


@pytest.mark.parametrize("name", TIES)
def test_wherever_it_is_drawn(name: str) -> None:
    assert_linearizes(model(ONE.format(TIES[name][0])))


@pytest.mark.parametrize("name", BESIDE)
def test_inputs_of_every_kind(name: str) -> None:
    text, x = BESIDE[name]
    assert_linearizes(model(text), x)
    assert_linearizes(model(text))


@pytest.mark.parametrize("name", SIZE_0)
def test_inputs_and_outputs_of_size_0(name: str) -> None:
    subject = Subject(model(SIZE_0[name]))
    shape = subject.linearizer().graph.inputs["x"].shape
    x = np.ones([n or 0 for n in shape], np.float32)
    for law in named(None):
        for mode in ("tangent", "frozen"):
            try:
                law.check(subject, subject.feeds(x), mode)
            except NotApplicable:
                continue
    assert onnxlin.check_model(model(SIZE_0[name])).compiles


@pytest.mark.parametrize("name", ["cast to bool", "greater", "a branch", "how often"])
def test_a_tie_is_told_by_its_node(name: str) -> None:
    body, at = TIES[name]
    subject = Subject(model(ONE.format(body)))
    lin, x = subject.movable(subject.feeds(np.float32(at)))
    with pytest.raises(KinkError, match=r"nearer to x than the smallest step: .* (at node|there)"):
        assert_tangent(lin, x, lin(x, None, "reverse", np.float64))


def test_beside_a_jump_a_wrong_slope_is_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    true = onnxlin.RULES["", "Mul"]

    def half(node: object) -> Affine:
        piece = true.function(node)
        found = piece.bias if piece.bias is not None else np.zeros(node.out_shape, node.dtype)
        return replace(piece, terms={}, bias=found + node.cast(node.result()))

    monkeypatch.setitem(onnxlin.RULES, ("", "Mul"), replace(true, function=half))
    text = ONE.format(TIES["greater"][0])
    with pytest.raises(AssertionError, match="first node that departs: Mul"):
        assert_linearizes(model(text), np.float32([0.5, 1.5, 3]), laws=["differences"])


def test_what_decides_without_a_rule_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(onnxlin.RULES, ("", "Greater"))
    text = ONE.format(TIES["greater"][0])
    assert_linearizes(model(text), np.float32([0, 1, 2]))
    with pytest.raises(onnxlin.OptionError, match=r"what decides can't be determined: .* Greater"):
        assert_linearizes(model(text), np.float32([0, 1, 2]), laws="inside")


def test_a_missing_rule_is_one_failure_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(onnxlin.RULES, ("", "Mul"))
    for x in (None, np.float32([0, 1, 2])):
        with pytest.raises(AssertionError, match=r"Mul .* no rule for Mul"):
            assert_linearizes(model(ONE.format(TIES["greater"][0])), x)
        with pytest.raises(onnxlin.MissingRuleError):
            assert_linearizes(model(ONE.format(TIES["greater"][0])), x)
