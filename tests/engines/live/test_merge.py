"""A stretch near the input merged into one map: the same W, b and shares as layer by layer."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
import onnxlin.engines.live
from onnxlin.engines.live.merging import merge
from onnxlin.engines.live.merging.stretch import stretches
from onnxlin.engines.live.plan import Plan
from tests.engines.test_memory import SLACK, taken
from tests.small import model

LIVE, PLAN = (sys.modules[f"onnxlin.engines.live.{name}"] for name in ("live", "plan"))

POOLED = """
g (float[1,2,13,11] x) => (y) <float[3,2,3,3] A, float[3] a, float[4,3,3,3] B, float[4] b> {
  h1 = Conv<pads=[1,1,1,1]>(x, A, a)  r1 = Relu(h1)
  p1 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r1)
  h2 = Conv<pads=[1,0,1,2]>(p1, B, b)  r2 = Relu(h2)
  p2 = MaxPool<kernel_shape=[3,3], strides=[2,1], pads=[1,1,0,0]>(r2)
  z = Sigmoid(p2)  y = Flatten(z) }
"""
STRIDED = """
g (float[1,2,15,14] x) => (y) <float[3,2,5,4] A, float[3] a, float[4,3,3,2] B, float[2,4,1,1] C> {
  h1 = Conv<strides=[2,3], pads=[2,1,0,1]>(x, A, a)  r1 = LeakyRelu(h1)
  h2 = Conv<dilations=[1,2], pads=[1,1,1,1]>(r1, B)  r2 = Relu(h2)
  h3 = Conv<strides=[1,2]>(r2, C)  y = Flatten(h3) }
"""
RESIDUAL = """
g (float[1,2,8,9] x) => (y)
<float[3,2,3,3] A, float[3] a, float[3,3,3,3] B, float[3] b, float[2,3,3,3] C> {
  h1 = Conv<pads=[1,1,1,1]>(x, A, a)  r1 = Relu(h1)
  h2 = Conv<pads=[1,1,1,1]>(r1, B, b)  s = Add(h2, r1)  r2 = Relu(s)
  h3 = Conv(r2, C)  y = Flatten(h3) }
"""
ACROSS = """
g (float[1,2,8,9] x) => (y)
<float[3,2,3,3] A, float[3] a, float[3,3,3,3] B, float[3] b, float[3,2,1,1] C> {
  h1 = Conv<pads=[1,1,1,1]>(x, A, a)  r1 = Relu(h1)
  h2 = Conv<pads=[1,1,1,1]>(r1, B, b)  r2 = Relu(h2)
  h3 = Conv<pads=[1,1,1,1]>(r2, B, b)  s = Add(h3, r1)
  k = Conv(x, C)  u = Mul(s, k)  y = Flatten(u) }
"""
GROUPED = """
g (float[1,2,10,10] x) => (y)
<float[4,2,3,3] A, float[4] a, float[4,2,3,3] B, float[3,4,3,3] C, float[3] c, float[2,3,2,2] D> {
  h1 = Conv(x, A, a)  r1 = Relu(h1)
  h2 = Conv<group=2>(r1, B)  r2 = Relu(h2)
  h3 = Conv(r2, C, c)  r3 = Relu(h3)
  h4 = Conv<strides=[2,2]>(r3, D)  y = Flatten(h4) }
"""
SIGNAL = """
g (float[1,2,40] x) => (y) <float[3,2,5] A, float[3] a, float[4,3,3] B, float[4] b> {
  h1 = Conv<pads=[2,2]>(x, A, a)  r1 = Relu(h1)
  p1 = MaxPool<kernel_shape=[2], strides=[2]>(r1)
  h2 = Conv<dilations=[2]>(p1, B, b)  r2 = Relu(h2)  y = Flatten(r2) }
"""
VOLUME = """
g (float[1,1,5,6,7] x) => (y) <float[3,1,3,3,3] A, float[3] a, float[2,3,2,2,2] B> {
  h1 = Conv<pads=[1,1,1,1,1,1]>(x, A, a)  r1 = Relu(h1)
  h2 = Conv(r1, B)  y = Flatten(h2) }
"""
SEVERAL = """
g (float[1,2,8,8] x, float[1,1,8,8] v) => (y)
<float[3,2,3,3] A, float[3] a, float[2,3,3,3] B, float[2] b, float[2,1,5,5] C, float[2] c> {
  h1 = Conv(x, A, a)  r1 = Relu(h1)  h2 = Conv(r1, B, b)
  k1 = Conv(v, C, c)  q1 = Relu(k1)
  s = Mul(h2, q1)  y = Flatten(s) }
"""
TURNED = """
g (float[1,8,9,2] x) => (y)
<float[2] scale, float[3,2,3,3] A, float[3] a, float[2,3,3,3] B> {
  n = Mul(x, scale)  t = Transpose<perm=[0,3,1,2]>(n)
  h1 = Conv<pads=[1,1,1,1]>(t, A, a)  r1 = Relu(h1)  h2 = Conv(r1, B)  y = Flatten(h2) }
"""
ENDS = """
g (float[1,2,8,8] x) => (y1, y2) <float[3,2,3,3] A, float[3] a, float[2,3,3,3] B> {
  h1 = Conv(x, A, a)  r1 = Relu(h1)  h2 = Conv(r1, B)
  y1 = Flatten(r1)  y2 = Flatten(h2) }
"""
BESIDE = """
g (float[1,9,8,2] x) => (y) <float[3,2,3,3] A, float[3] a, float[2,3,3,3] B, float[144,30] D> {
  t = Transpose<perm=[0,3,2,1]>(x)  h1 = Conv(t, A, a)  r1 = Relu(h1)  h2 = Conv(r1, B)
  f = Flatten(h2)  e = Flatten(x)  g1 = Cos(e)  g2 = MatMul(g1, D)  y = Concat<axis=1>(f, g2) }
"""
NETS = {
    "pooled": POOLED, "strided": STRIDED, "residual": RESIDUAL, "across": ACROSS,
    "grouped": GROUPED, "signal": SIGNAL, "volume": VOLUME, "several": SEVERAL,
    "turned": TURNED, "ends": ENDS, "beside": BESIDE,
}  # fmt: skip


def filled(text: str, seed: int = 0) -> onnx.ModelProto:
    """A model whose initialisers are random, so that about half of the units are alive."""
    proto, rng = model(text), np.random.default_rng(seed)
    for value in proto.graph.value_info:
        values = rng.normal(size=sizes(value)).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, value.name))
    return proto


def sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [d.dim_value for d in value.type.tensor_type.shape.dim]


def inputs(proto: onnx.ModelProto, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        value.name: rng.normal(size=sizes(value)).astype(np.float32) for value in proto.graph.input
    }


def plan_of(m: onnxlin.AffineMap) -> Plan:
    job = m.made_from("a test").job
    return Plan(job.program, job.seeds, merging=0)


def ends(plan: Plan) -> list[str]:
    """Tensors that can be merged into one map from where they begin."""
    return [s.target for s in stretches(plan.chain, plan.places, plan.program.outputs)]


def forced(target: str) -> Any:
    """What merges up to a tensor, whatever it costs."""

    def choose(pulls: Any, places: Any, inputs: Any, outputs: Any, *, dtype: Any, rows: int) -> Any:
        chain = [link for link, _ in reversed(pulls)]
        (found,) = (s for s in stretches(chain, places, outputs) if s.target == target)
        return merge.onto_columns(merge.Merged(found, dtype), pulls, inputs, outputs)

    return choose


def planned(job: Any, kept: int) -> Plan:
    """A plan whose bands are as small as may be, or as large."""
    return Plan(job.program, job.seeds, merging=kept)


def assert_same(m: onnxlin.AffineMap, other: onnxlin.AffineMap, tol: float) -> None:
    for found, expected in ((m.W, other.W), (m.b, other.b)):
        np.testing.assert_allclose(found, expected, rtol=tol, atol=tol * np.abs(expected).max())
    assert m.bias_by_node.keys() <= other.bias_by_node.keys()
    for name, share in other.bias_by_node.items():
        size = max(np.abs(each).max() for each in other.bias_by_node.values())
        # Where nothing is alive there is no share.
        found = m.bias_by_node.get(name, np.zeros_like(share))
        np.testing.assert_allclose(found, share, rtol=tol, atol=tol * size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("net", NETS)
def test_wherever_it_is_merged_the_map_is_the_same(net, dtype, monkeypatch) -> None:
    """Every tensor that a stretch ends with, in bands of one row and of all."""
    proto = filled(NETS[net])
    lin, x = onnxlin.Linearizer(proto), inputs(proto)
    other = lin(x, engine="reverse", dtype=dtype)
    tried = ends(plan_of(lin(x, engine="live", dtype=dtype)))
    assert bool(tried) == (net != "volume")
    tol = 2e-5 if dtype == np.float32 else 1e-12
    for end in tried:
        for kept in (1, merge.KEPT):
            monkeypatch.setattr(PLAN, "best", forced(end))
            monkeypatch.setattr(LIVE, "_planned", lambda job, kept=kept: planned(job, kept))
            m = lin(x, engine="live", dtype=dtype)
            assert_same(m, other, tol)
            m.verify()


@settings(max_examples=max(settings().max_examples // 4, 1))
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_rows_may_be_combinations(seed, count) -> None:
    proto = filled(POOLED, seed)
    lin, x = onnxlin.Linearizer(proto), inputs(proto, seed)
    size = len(lin(x, engine="live").b)
    rows = np.random.default_rng(seed).normal(size=(count, size))
    with pytest.MonkeyPatch.context() as patch:
        other = lin(x, rows=rows, engine="reverse", dtype=np.float64)
        found = ends(plan_of(lin(x, rows=rows, engine="live", dtype=np.float64)))
        for end in found:
            patch.setattr(PLAN, "best", forced(end))
            assert_same(lin(x, rows=rows, engine="live", dtype=np.float64), other, 1e-12)


@st.composite
def chains(draw: st.DrawFn) -> onnx.ModelProto:
    """Convolutions of any stride, padding and dilation, with pools and activations between."""
    some = st.integers(1, 3)
    channels, before, sizes, nodes = draw(some), "x", [], []
    start = f"float[1,{channels},{draw(st.integers(9, 14))},{draw(st.integers(9, 14))}] x"
    for i in range(draw(st.integers(1, 3))):
        made, kernel = draw(some), draw(st.tuples(some, some))
        strides, dilations = (draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for _ in "ab")
        pads = [draw(st.integers(0, 2)) for _ in range(4)]
        sizes += [f"float[{made},{channels},{kernel[0]},{kernel[1]}] W{i}", f"float[{made}] b{i}"]
        fields = f"strides={[*strides]}, dilations={[*dilations]}, pads={pads}"
        nodes += [f"c{i} = Conv<{fields}>({before}, W{i}, b{i})", f"r{i} = Relu(c{i})"]
        channels, before = made, f"r{i}"
        if draw(st.booleans()):
            window = draw(st.sampled_from(["[2,2], strides=[2,2]", "[3,2], strides=[1,2]"]))
            pooled = f"MaxPool<kernel_shape={window}, pads=[1,1,1,1]>({before})"
            nodes, before = [*nodes, f"p{i} = {pooled}"], f"p{i}"
    text = f"g ({start}) => (y) <{', '.join(sizes)}> {{ {' '.join(nodes)} y = Sin({before}) }}"
    return filled(text, draw(st.integers(0, 99)))


@given(chains())
def test_any_chain_of_convolutions_may_be_merged(proto) -> None:
    lin, x = onnxlin.Linearizer(proto), inputs(proto)
    try:
        other = lin(x, engine="reverse", dtype=np.float64)
    except onnxlin.OnnxlinError:  # nothing is left of the image
        return
    with pytest.MonkeyPatch.context() as patch:
        for end in ends(plan_of(lin(x, engine="live", dtype=np.float64))):
            patch.setattr(PLAN, "best", forced(end))
            assert_same(lin(x, engine="live", dtype=np.float64), other, 1e-12)


def test_what_leads_out_on_the_way_is_not_merged() -> None:
    """A residual across the end, outputs between, another reader: such stretches are none."""
    found = {}
    for net in ("residual", "across", "ends", "several", "grouped"):
        proto = filled(NETS[net])
        m = onnxlin.Linearizer(proto)(inputs(proto), engine="live")
        found[net] = {s.target: s.root for s in stretches(*_seen(m))}
    assert found["residual"]["r2"] == "x"
    assert "h2" not in found["residual"]
    assert not {"h2", "r2", "h3"} & set(found["across"])
    assert "h2" not in found["ends"]
    assert found["several"]["h2"] == "x"
    assert found["grouped"]["h4"] == "h2"


def _seen(m: onnxlin.AffineMap) -> tuple[Any, ...]:
    plan = plan_of(m)
    return plan.chain, plan.places, plan.program.outputs


def wide(channels: int, size: int) -> onnx.ModelProto:
    """Many pixels and few live channels at the input, then a narrow head of many outputs."""
    return filled(f"""
g (float[1,3,{size},{size}] x) => (y)
<float[{channels},3,3,3] A, float[{channels}] a, float[{channels},{channels},3,3] B,
 float[{channels}] b, float[8,{channels},1,1] C, float[8] c, float[{2 * size * size},300] D> {{
  h1 = Conv<pads=[1,1,1,1]>(x, A, a)  r1 = Relu(h1)
  h2 = Conv<pads=[1,1,1,1]>(r1, B, b)  r2 = Relu(h2)
  p2 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r2)
  h3 = Conv(p2, C, c)  r3 = Relu(h3)  f = Flatten(r3)  y = MatMul(f, D) }}
""")


def test_it_is_merged_where_that_is_cheaper() -> None:
    """For many rows, and neither for few nor with a budget that does not hold the boxes."""
    proto = wide(32, 48)
    lin, x = onnxlin.Linearizer(proto), inputs(proto)
    m = lin(x, engine="live")
    job = m.made_from("a test").job
    assert LIVE._planned(job).merged is not None
    few = lin(x, rows=range(8), engine="live").made_from("a test").job
    assert LIVE._planned(few).merged is None
    other = lin(x, engine="reverse")
    np.testing.assert_allclose(m.W, other.W, rtol=1e-4, atol=1e-5 * np.abs(other.W).max())
    m.verify()


@pytest.mark.parametrize("tight", [False, True])
def test_what_is_merged_takes_what_is_estimated(tight) -> None:
    """With all that it asks for, and with a budget that holds smaller boxes, and fewer rows."""
    proto = wide(32, 48)
    x = inputs(proto)
    m = onnxlin.Linearizer(proto)(x, engine="live")
    needed, held = m.memory_needed, m.made_from("a test").job.held
    if tight:
        budget = held + (needed - held) * 2 // 3
        m = onnxlin.Linearizer(proto, memory=budget)(x, engine="live")
        assert m.memory_needed <= budget
    most, beyond = taken(lambda: m.W), m.memory_needed - held
    assert beyond / 4 <= most + SLACK
    assert most <= 1.2 * beyond + SLACK
    other = onnxlin.Linearizer(proto)(x, engine="reverse")
    np.testing.assert_allclose(m.W, other.W, rtol=1e-4, atol=1e-5 * np.abs(other.W).max())


def test_two_convolutions_are_made_at_once() -> None:
    """Of an input that is alive throughout, where the bias is one of channels."""
    proto = filled(POOLED)
    m = onnxlin.Linearizer(proto)(inputs(proto), engine="live")
    found = {s.target: merge.Merged(s, np.dtype(np.float32)) for s in stretches(*_seen(m))}
    made = {stage.key[0]: stage for stage in found["p2"].local.stages}
    assert made["h2"].composed is None
    assert made["h2"].makers
    proto = filled(RESIDUAL)
    m = onnxlin.Linearizer(proto)(inputs(proto), engine="live")
    found = {s.target: merge.Merged(s, np.dtype(np.float32)) for s in stretches(*_seen(m))}
    made = {stage.key[0]: stage for stage in found["r2"].local.stages}
    assert made["h2"].composed is not None
