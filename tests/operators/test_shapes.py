"""Where values decide a shape, or a rule asks for them, onnxlin must not write a graph."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import onnxlin
from onnxlin.primitives import Diagonal
from onnxlin.rules import Affine
from tests.engines.compiled.exported import run, session
from tests.small import model

LOOP = """g (float[2] x) => (float[2] y) <int64 m = {{10}}, bool t = {{1}}, {more}> {{ {before}
    y, s = Loop <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] v2, float[2] o)
        {{ v2 = Add(v, v)  o = Identity(v2)  {cond} }}> ({trips}, t, x) }}"""
TOTAL = "n = ReduceSum<keepdims=0>(v2)  c2 = Less(n, top)"
X = {"x": np.array([0.25, -0.5], np.float32)}

DECIDED = {
    "a loop that stops at a sum": LOOP.format(
        more="float top = {20}", before="", cond=TOTAL, trips="m"
    ),
    "a loop as long as a maximum": LOOP.format(
        more="float one = {1}",
        before="p = ReduceMax<keepdims=0>(x)  k = Cast<to=7>(p)",
        cond="c2 = Identity(c)",
        trips="k",
    ),
    "entries that are positive": """g (float[2] x) => (float[n] y) <float z = {0}> {
        m = Greater(x, z)  y = Compress(x, m) }""",
    "how many are positive": """g (float[2] x) => (float[2] y) <float z = {0}> {
        m = Greater(x, z)  c = Compress(x, m)  n = Size(c)  f = Cast<to=1>(n)  y = Mul(x, f) }""",
    "a range": """g (float[2] x) => (float[2] y) <int64 a = {0}, int64 b = {1}> {
        p = ReduceMax<keepdims=0>(x)  k = Cast<to=7>(p)  r = Range(a, k, b)  f = Cast<to=1>(r)
        s = ReduceSum<keepdims=0>(f)  y = Mul(x, s) }""",
    "axes to sum over": """g (float[2] x) => (float[n] y) <int64[1] zero = {0}> {
        p = ReduceMax<keepdims=1>(x)  k = Cast<to=7>(p)  a = Mul(k, zero)
        y = ReduceSum<keepdims=0>(x, a) }""",
}


@pytest.mark.parametrize("text", DECIDED.values(), ids=DECIDED)
def test_values_that_decide_a_shape(text: str) -> None:
    with pytest.raises(onnxlin.CompileError, match="values decide"):
        onnxlin.compile_model(model(text))
    with pytest.raises(onnxlin.OptionError, match="values decide"):
        onnxlin.linearize(model(text), X, engine="compiled")


FIXED = {
    "a loop that counts": LOOP.format(
        more="int64 three = {3}", before="", cond="c2 = Less(i, three)", trips="m"
    ),
    "a loop to its end": LOOP.format(
        more="float one = {1}", before="", cond="c2 = Identity(c)", trips="m"
    ),
    "a shape computed from a shape": """g (float[2] x) => (float[2,2] y) {
        s = Shape(x)  t = Concat<axis=0>(s, s)  y = Expand(x, t) }""",
    "decided, but beside the way": """g (float[2] x) => (float[2] y, int64[k,n] i) {
        y = Relu(x)  i = NonZero(x) }""",
}


@pytest.mark.parametrize("text", FIXED.values(), ids=FIXED)
def test_shapes_that_are_settled(text: str) -> None:
    made = onnxlin.compile_model(model(text))
    m = onnxlin.linearize(model(text), X, engine="reverse")
    answer = run(session(made), {**X, "seeds": np.eye(len(m.y), dtype=np.float32)})
    np.testing.assert_array_equal(answer["seeds_W"], m.W)
    np.testing.assert_array_equal(answer["seeds_b"], m.b)
    np.testing.assert_array_equal(answer["y"].ravel(), m.y)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (lambda z: z * float(z[0] > 0), "a decision depends on the values at x"),
        (lambda z: z.searchsorted(0), "a traced array has no 'searchsorted'"),
        (np.sinc, "numpy.sinc has no form in a graph"),
    ],
)
def test_a_rule_that_asks_for_values(scale, words, monkeypatch) -> None:
    """Whatever a rule does with a traced array, the answer is one error; other engines go on."""

    def rule(node) -> Affine:
        z = node.native(0)
        return Affine({0: Diagonal.of(z.shape, node.cast(z * 0 + scale(z)))})

    held = dataclasses.replace(onnxlin.RULES["", "Neg"], function=rule)
    monkeypatch.setitem(onnxlin.RULES, ("", "Neg"), held)
    proto = model("g (float[2] x) => (float[2] y) { [odd] y = Neg(x) }")
    with pytest.raises(onnxlin.CompileError, match=f"Neg at node 'odd': {words}"):
        onnxlin.compile_model(proto)
    assert not onnxlin.check_model(proto).compiles
    onnxlin.linearize(proto, X)
