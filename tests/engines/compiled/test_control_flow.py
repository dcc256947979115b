"""Loops, branches, sequences and what is of no entries: compiled at one x, right at others.

What carries tensors from one iteration to the next, or lists of them, is written into a graph as
what it is at any x; nothing of the x that it was compiled at may stay there.
"""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin import Linearizer
from onnxlin.engines.compiled import Shelf
from tests.engines.compiled.elsewhere import assert_agrees, plain
from tests.small import model

LOOP = """g (float[2] x) => (float[n] y)
    <int64 n = {{{n}}}, bool t = {{{go}}}, float half = {{0.5}}> {{
    y = Loop<body = b (int64 i, bool c, float{v} v) => (bool d, float{v} w) {{
        d = Identity(c)  {body} }}>(n, {t}, x) }}"""
SEQUENCES = """g (float[2] x) => (float[n] y) <int64 n = {{3}}, bool t = {{1}}> {{ {start}
    s = Loop<body = b (int64 i, bool c, seq(float[2]) r) => (bool d, seq(float[2]) q) {{
        d = Identity(c)  {body} }}>(n, t, s0)
    y = ConcatFromSequence<axis=0>(s) }}"""
IF = """g (float[2] x) => ({made} y) <float z = {{0}}> {{
    s = ReduceSum<keepdims={keep}>(x)  c = Greater(s, z)
    y = If<then_branch = a () => ({made} p) {{ {then} }},
           else_branch = b () => ({made} q) {{ {other} }}>(c) }}"""
SEQ = "g (float[2] x) => (float[2] y) <int64 i = {{1}}, float[2] k = {{1, -2}}> {{ {body} }}"
SCATTER = """g (float[3] x) => (float[3] y)
    <int64[4] i = {{0, 2, 0, 2}}, float[4] d = {{1, -2, 3, 4}},
    int64[3] j = {{0, 2, 0}}, float[3] e = {{0.5, -0.25, 0.125}}> {{ {body} }}"""

CASES = {
    "a loop that carries a tensor": LOOP.format(
        n=2, go=1, t="t", v="[2]", body="m = Mul(v, half)  w = Add(m, x)"
    ),
    "its condition left out": LOOP.format(n=2, go=1, t="", v="[2]", body="w = Mul(v, x)"),
    "a tensor that grows": LOOP.format(n=2, go=1, t="", v="[k]", body="w = Concat<axis=0>(v, x)"),
    "no iteration": LOOP.format(n=0, go=1, t="t", v="[2]", body="w = Mul(v, x)"),
    "a loop that never begins": LOOP.format(n=3, go=0, t="t", v="[2]", body="w = Mul(v, x)"),
    "no iteration, with a list of results": """g (float[2] x) => (float[2] y, float[0,2] z)
        <int64 n = {0}, bool t = {1}> {
        y, z = Loop<body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[2] o)
            { d = Identity(c)  w = Mul(v, x)  o = Relu(w) }>(n, t, x) }""",
    "a branch in a loop": LOOP.format(
        n=2, go=1, t="t", v="[2]",
        body="""s = ReduceSum<keepdims=0>(v)  g = Greater(s, half)
            w = If<then_branch = a () => (float[2] p) { p = Mul(v, x) },
                   else_branch = b () => (float[2] q) { q = Sub(v, x) }>(g)""",
    ),
    "a list that grows": SEQUENCES.format(
        start="s0 = SequenceConstruct(x)",
        body="z = Constant<value_int=0>()  e = SequenceAt(r, z)  m = Mul(e, x)"
        "  q = SequenceInsert(r, m)",
    ),
    "a list that begins empty": SEQUENCES.format(
        start="s0 = SequenceEmpty()",
        body="k = Cast<to=1>(i)  m = Mul(k, x)  q = SequenceInsert(r, m)",
    ),
    "branches of one shape": IF.format(
        made="float[2]", keep=0, then="p = Mul(x, x)", other="q = Relu(x)"
    ),
    "a condition of one entry": IF.format(
        made="float", keep=1, then="p = ReduceSum<keepdims=0>(x)",
        other="q = ReduceMax<keepdims=0>(x)",
    ),
    "an item of a list": SEQ.format(
        body="n = Neg(x)  s = SequenceConstruct(x, n)  e = SequenceAt(s, i)  y = Relu(e)"
    ),
    "a list of constants": SEQ.format(
        body="s = SequenceConstruct(k, k)  e = SequenceAt(s, i)  y = Mul(x, e)"
    ),
    "a list put together and taken apart": SEQ.format(
        body="s = SequenceConstruct(k, k)  t = SequenceInsert(s, x)  u = SequenceErase(t, i)"
        "  e = SequenceAt(u, i)  y = Mul(x, e)"
    ),
    "the length of a list": SEQ.format(
        body="s = SplitToSequence<keepdims=0>(x)  n = SequenceLength(s)  f = Cast<to=1>(n)"
        "  y = Mul(x, f)"
    ),
    "something done to every item": SEQ.format(
        body="""n = Neg(x)  s = SequenceConstruct(x, n)
            u = SequenceMap<body = b (float[2] v, float[2] o) => (float[2] w)
                { a = Mul(v, o)  w = Add(a, x) }>(s, x)
            e = SequenceAt(u, i)  y = Relu(e)"""
    ),
    "an optional": SEQ.format(body="o = Optional(x)  e = OptionalGetElement(o)  y = Relu(e)"),
    "whether there is an optional": SEQ.format(
        body="""o = Optional(x)  h = OptionalHasElement(o)
            y = If<then_branch = a () => (float[2] p) { e = OptionalGetElement(o)  p = Mul(e, e) },
                   else_branch = b () => (float[2] q) { q = Neg(x) }>(h)"""
    ),
    **{
        f"scatter with {how}": SCATTER.format(
            body=f"""a = ScatterElements<axis=0, reduction="{how}">(x, i, d)
            y = ScatterElements<axis=0, reduction="{how}">(e, j, a)"""
        )
        for how in ("add", "mul", "max", "min")
    },
}  # fmt: skip
EMPTY = """g (float[3, 2] x) => (float[3, 2] y) <int64[1] s = {{1}}, int64[1] a = {{0}}> {{
    z = Slice(x, s, s)  r = {reduce}(z, a)  b = IsNaN(r)  c = Cast<to=1>(b)
    i = IsInf(r)  j = Cast<to=1>(i)  k = Add(c, j)  m = Add(x, k)  y = Mul(m, m) }}"""
REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceSum", "ReduceSumSquare", "ReduceProd", "ReduceMax", "ReduceMin",
    "ReduceLogSum", "ReduceLogSumExp", "ReduceMean",
)  # fmt: skip
FINITE = """g (float[3, 2] x) => (float[3, 2] y)
    <int64[1] s = {{1}}, int64[1] a = {{0}}> {{ {body} }}"""
CASES |= {
    f"{reduce} of nothing": FINITE.format(
        body=f"z = Slice(x, s, s)  r = {reduce}(z, a)  p = Add(r, x)  y = Mul(p, p)"
    )
    for reduce in ("ReduceL1", "ReduceL2", "ReduceSum", "ReduceSumSquare", "ReduceProd")
}


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_here_and_asked_elsewhere(name: str, mode: str) -> None:
    proto = model(CASES[name])
    lin = Linearizer(proto, session_options=plain(), mode=mode)
    rng = np.random.default_rng(0)
    shape = lin.graph.inputs["x"].shape
    for _ in range(4):  # both branches are taken, other entries win
        x = {"x": rng.normal(size=shape).astype(np.float32)}
        m = assert_agrees(lin, x)
        assert m is not None
        m.verify()
    assert onnxlin.check_model(proto).compiles
    onnxlin.compile_model(proto, mode=mode)


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_a_reduction_of_nothing_beside_the_way(reduce: str) -> None:
    """Some of them are infinite or no number; here that decides something, and is no obstacle."""
    proto = model(EMPTY.format(reduce=reduce))
    assert onnxlin.check_model(proto).compiles
    assert_agrees(Linearizer(proto, session_options=plain()), {"x": np.ones((3, 2), np.float32)})


def test_a_branch_that_cannot_be_written_is_no_obstacle_to_others() -> None:
    """Both branches are in a graph; one without a map leaves the other engines as they are."""
    other = "r = Constant<value_float=0.5>()  t = Constant<value=bool {1}>()  q = Dropout(x, r, t)"
    proto = model(IF.format(made="float[2]", keep=0, then="p = Mul(x, x)", other=other))
    lin, x = Linearizer(proto), {"x": np.array([0.5, 1], np.float32)}
    lin(x).verify()
    with pytest.raises(onnxlin.UnsupportedNodeError, match="Dropout"):
        lin(x, engine="compiled")
    report = onnxlin.check_model(proto)
    assert not report.compiles
    assert "Dropout" in str(report.not_compiled_because)
    shelf = Shelf(lin.section, "tangent")
    for _ in range(2):
        assert shelf.worth_opening(x, np.dtype(np.float32), lambda: (1.0, 0.0), single=True) is None
