"""Quantised graphs, compiled: y, W and b are those of the run that the rules see, at any x.

Optimisers of runtimes put operators on integers in the place of the pairs around a float one, and
one pair in the place of two. What comes out is a step apart, and more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer
from onnxlin.engines.compiled.compile import compile_section
from onnxlin.graph import Array
from onnxlin.testing import GrownModel
from onnxlin.testing.models import quantised_models
from onnxlin.testing.models.quantised import others
from tests.engines.compiled.elsewhere import assert_agrees
from tests.small import model

few = settings(max_examples=max(settings().max_examples // 2, 1))
ROUNDINGS = st.sampled_from(["staircase", "straight-through"])
# Of the optimisers of a default session these alone move what is spelt out, by rounding floats
# another way before they are rounded to steps.
FLOATS = ["MatMulScaleFusion", "NchwcTransformer"]
# The optimiser merges the two pairs into one, of another scale.
TWICE = """g (float[2] x) => (float[2] y)
    <float s = {0.25}, uint8 one = {3}, uint8 two = {1}> {
    q = QuantizeLinear(x, s, one)    d = DequantizeLinear(q, s, one)
    r = QuantizeLinear(d, s, two)    y = DequantizeLinear(r, s, two) }"""
STEPS = [
    "y = Round(x)",
    "y = Floor(x)",
    "i = Cast<to=6>(x)  y = Cast<to=1>(i)",
    "q, s, z = DynamicQuantizeLinear(x)  y = DequantizeLinear(q, s, z)",
    "c = Greater(x, x)  y = Round(x)",
]
FLOATING = [
    "y = Relu(x)",
    "s = Shape(x)  f = Cast<to=1>(s)  r = Floor(f)  i = Cast<to=7>(r)  z = Reshape(x, i)"
    "  y = Relu(z)",
    "c = Greater(x, x)  f = Cast<to=1>(c)  y = Add(x, f)",
]


def y_of(session: Any, made: onnx.ModelProto, names: list[str], x: dict[str, Array]) -> Array:
    given = {i.name: i for i in session.get_inputs()}
    seeds = np.zeros((1, given["seeds"].shape[1]), np.float32)
    feeds = {name: value for name, value in x.items() if name in given} | {"seeds": seeds}
    return np.concatenate([value.ravel() for value in session.run(names, feeds)])


def y_by_run(lin: Linearizer, x: dict[str, Array]) -> Array:
    return np.concatenate([value.ravel() for value in lin.run(x).values()])


@given(quantised_models(), ROUNDINGS, st.integers(0, 99))
def test_the_engine_is_the_model(grown: GrownModel, rounding: str, seed: int) -> None:
    """To the last bit in y, within rounding in W and b; optimisers or none, as the caller asks."""
    lin = Linearizer(grown.model, rounding=rounding)
    for x in others(grown, 6, seed):
        try:
            m = lin(x, engine="compiled")
        except onnxlin.OptionError:
            return
        np.testing.assert_array_equal(m.y, y_by_run(lin, x))
        assert_agrees(lin, x)
        m.verify()


@few
@given(quantised_models(), st.integers(0, 99))
def test_many_instances_at_once(grown: GrownModel, seed: int) -> None:
    lin = Linearizer(grown.model)
    xs = others(grown, 8, seed)
    if any(len(v) != 1 for v in xs[0].values()):
        return
    stacked = {name: np.concatenate([x[name] for x in xs]) for name in xs[0]}
    try:
        maps = list(lin.map(stacked, engine="compiled"))
    except onnxlin.OptionError:
        return
    for m, x in zip(maps, xs, strict=True):
        np.testing.assert_array_equal(m.y, y_by_run(lin, x))


@few
@given(quantised_models(), ROUNDINGS, st.integers(0, 99))
def test_the_file_is_the_model(grown: GrownModel, rounding: str, seed: int) -> None:
    """In a default session but for what rounds floats another way, nothing moves."""
    try:
        made = onnxlin.compile_model(grown.model, rounding=rounding)
    except onnxlin.CompileError:
        return
    data, names = made.SerializeToString(), [o.name for o in grown.model.graph.output]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    onnxruntime.InferenceSession(data, options)
    session = onnxruntime.InferenceSession(data, options, disabled_optimizers=FLOATS)
    lin = Linearizer(grown.model)
    for x in others(grown, 6, seed):
        np.testing.assert_array_equal(y_of(session, made, names, x), y_by_run(lin, x))


@pytest.mark.parametrize("options", [None, onnxruntime.SessionOptions()], ids=["ours", "callers"])
def test_pairs_that_an_optimiser_merges(options: onnxruntime.SessionOptions | None) -> None:
    lin = Linearizer(model(TWICE), session_options=options)
    level = None if options is None else options.graph_optimization_level
    m = lin(np.array([0.25, 1.25], np.float32), engine="compiled")
    np.testing.assert_array_equal(m.y, [0.25, 1.25])
    np.testing.assert_array_equal(m.b, [0.25, 1.25])
    m.verify()
    assert options is None or options.graph_optimization_level == level


WEIGHTS = {
    "stored": "w = Identity(a)  y = MatMul(x, a)",
    "a node's": "w = Constant<value = {a}>()  y = MatMul(x, w)",
    "turned": "w = Transpose<perm=[1,0]>(a)  y = MatMul(x, w)",
    "turned in the product": "y = Gemm<transB=1>(x, a)",
    "summed": "w = Add(a, a)  y = MatMul(x, w)",
}


@pytest.mark.parametrize("how", WEIGHTS)
def test_products_round_as_the_models(how: str) -> None:
    """To the last bit, wherever the weights come from: constants are packed, others are not."""
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    entries = ", ".join(str(float(w)) for w in weights.flat)
    nodes = WEIGHTS[how].replace("{a}", f"float[64,64] {{{entries}}}")
    nodes = nodes.replace("y = ", "z = ") + "  c = Mul(z, big)  r = Round(c)  y = Identity(z)"
    proto = model(
        f"g (float[1,64] x) => (float[1,64] y, float[1,64] r)"
        f" <float[64,64] a = {{{entries}}}, float big = {{4096}}> {{ {nodes} }}"
    )
    lin = Linearizer(proto)
    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=(1, 64)).astype(np.float32)
        m = lin(x, engine="compiled").verify()
        np.testing.assert_array_equal(m.y, y_by_run(lin, {"x": x}))


@pytest.mark.parametrize("nodes", STEPS + FLOATING)
def test_what_rounds_is_told_from_what_does_not(nodes: str) -> None:
    """Shapes may be rounded: they are the same for every x."""
    lin = Linearizer(model(f"g (float[4] x) => (float[4] y) {{ {nodes} }}"))
    compiled = compile_section(lin.section, "tangent", {"x": np.ones(4, np.float32)})
    assert compiled.rounds == (nodes in STEPS)


# Pairs of codes around gates: the same small formulas read numbers here, and codes there.
GATED = """g (float[1,10] x) => (float[1,10] y) <float s = {0.125}, int8 z = {-3}> {
    q = QuantizeLinear(x, s, z)   d = DequantizeLinear(q, s, z)   a = Sigmoid(d)
    q1 = QuantizeLinear(a, s, z)  d1 = DequantizeLinear(q1, s, z)  b = Mul(d, d1)
    q2 = QuantizeLinear(b, s, z)  d2 = DequantizeLinear(q2, s, z)  c = Sigmoid(d2)
    q3 = QuantizeLinear(c, s, z)  d3 = DequantizeLinear(q3, s, z)  e = Mul(d2, d3)
    q4 = QuantizeLinear(e, s, z)  y = DequantizeLinear(q4, s, z) }"""


@pytest.mark.parametrize("rounding", ["staircase", "straight-through"])
def test_codes_and_numbers_are_not_put_side_by_side(rounding: str) -> None:
    proto = model(GATED)
    x = {"x": np.linspace(-2, 3, 10, dtype=np.float32)[None]}
    m = onnxlin.linearize(proto, x, rounding=rounding).verify()
    made = onnxlin.compile_model(proto, rounding=rounding).SerializeToString()
    seeds = np.eye(10, dtype=np.float32)
    for level in onnxruntime.GraphOptimizationLevel.__members__.values():
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(made, options)
        (W,) = session.run(["seeds_W"], {**x, "seeds": seeds})
        np.testing.assert_allclose(W, m.W, rtol=0, atol=2.0**-20 * np.abs(m.W).max(initial=0))
