"""Many instances at once: each map is what it is alone, and nothing mixes unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, Linearizer
from onnxlin.engines.compiled.many.stacked import stacked
from onnxlin.graph import Array
from onnxlin.operators.batch_axis import FOLLOW, MixedError
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import MAKERS
from tests.agree import assert_same_rows
from tests.engines.compiled.elsewhere import elsewhere, plain, sized
from tests.engines.compiled.test_agrees import NOT_COMPILED
from tests.installed import require, require_newest
from tests.proofs import unrefused
from tests.small import mlp, model
from tests.test_fixtures import TRAINED, named
from tests.test_laws import MODES
from tests.twin import by_hand

FOLLOWED = sorted(
    op_type for op_type in FOLLOW if op_type in MAKERS and op_type not in NOT_COMPILED
)
SEVERAL = 5
few = settings(
    max_examples=max(settings().max_examples // 4, 1),
    suppress_health_check=[HealthCheck.filter_too_much],
)


def several(grown: GrownModel, seed: int) -> dict[str, Array]:
    """Instances side by side on axis 0, each of the input's shape without its leading 1."""
    xs = [grown.x, *(elsewhere(grown.x, seed + i) for i in range(SEVERAL - 1))]
    return {name: np.concatenate([x[name] for x in xs]) for name in grown.x}


def assert_as_alone(lin: Linearizer, stack: dict[str, Array], rows: Any = None) -> bool:
    """Each map is that of its instance, to rounding; return whether one graph made them."""
    count = len(next(iter(stack.values())))
    try:
        alone = [
            lin({name: all_[i : i + 1] for name, all_ in stack.items()}, rows, engine="reverse")
            for i in range(count)
        ]
    except onnxlin.TraceError:
        assume(False)  # infinite at one of them
    maps = list(lin.map(stack, rows, engine="compiled"))
    assert len(maps) == count
    for m, other in zip(maps, alone, strict=True):
        hand = by_hand(lin(other.inputs, engine="reverse"), apart=True)
        slack, bias = (sized(m.rows, s, hand.roundings) for s in (hand.slack, hand.bias_slack))
        assert m.W.shape == other.W.shape
        assert (np.abs(m.W - other.W) <= slack).all()
        # Of no rows the interpreters name no share at all, and a graph some that are 0.
        more = m.bias_by_node.keys() - other.bias_by_node.keys()
        assert not len(m.rows) or not any(m.bias_by_node[name].any() for name in more)
        for name, share in other.bias_by_node.items():
            gap = np.abs(m.bias_by_node.get(name, np.zeros(len(share))) - share)
            assert (gap <= bias).all()
        np.testing.assert_array_equal(m.x, other.x)
        unrefused(m)
    return "instances at once" in maps[0].plan


def opened(grown: GrownModel, **options: Any) -> Linearizer:
    """A linearizer of a model whose inputs have an axis for instances, which can be compiled."""
    assume(all(x.shape[:1] == (1,) for x in grown.x.values()))
    lin = Linearizer(grown.model, session_options=plain(), **options)
    try:
        lin(grown.x, engine="compiled")
    except onnxlin.OptionError:
        assume(False)
    return lin


# Alone these make nothing that depends on x, or seldom leave the axis alone; the random graphs
# below hold them too.
COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
REDUCTIONS = tuple(op_type for op_type in FOLLOWED if op_type.startswith("Reduce"))
SELDOM = (*REDUCTIONS, "Gemm", "Slice", "Squeeze", "And", "Or", "Xor", "Not", *COMPARISONS)


@pytest.mark.parametrize("op_type", FOLLOWED)
def test_one_operator(op_type: str) -> None:
    require_newest(op_type)
    at_once: list[bool] = []

    @few
    @given(
        onnx_models([op_type], max_nodes=2, ties=False), st.sampled_from(MODES), st.integers(0, 99)
    )
    def as_alone(grown: GrownModel, mode: str, seed: int) -> None:
        at_once.append(assert_as_alone(opened(grown, mode=mode), several(grown, seed)))

    as_alone()
    # An operator that never goes through with others is not worth its entry.
    assert any(at_once) or op_type in SELDOM


@pytest.mark.parametrize("op_type", REDUCTIONS)
def test_reductions_that_leave_the_axis_alone_go_through_at_once(op_type: str) -> None:
    ends = "g (float[1,3,4] x) => (float[1,3,1] y) <int64[1] axes = {2}>"
    proto = model(f"{ends} {{ y = {op_type}(x, axes) }}")
    x = np.random.default_rng(0).uniform(1, 2, (SEVERAL, 3, 4)).astype(np.float32)
    lin = Linearizer(proto, session_options=plain())
    assert assert_as_alone(lin, {"x": x})


@few
@given(onnx_models(FOLLOWED, min_nodes=3, ties=False), st.integers(0, 99), st.data())
def test_random_graphs(grown: GrownModel, seed: int, data: st.DataObject) -> None:
    lin = opened(grown)
    n = sum(y.size for y in lin.run(grown.x).values())
    rows = data.draw(st.sampled_from([None, [], [n - 1], [0, n - 1], np.ones((2, n))]))
    assert_as_alone(lin, several(grown, seed), rows)


def test_every_operator_that_is_followed_has_a_rule() -> None:
    assert {("", op_type) for op_type in FOLLOW} - {("", "Flatten")} <= set(onnxlin.RULES)


MIXING = {
    "ReduceMean at node .* reduces over instances": """g (float[1,3] x) => (float[1,3] y)
        <int64[1] a = {0}> { s = ReduceMean<keepdims=1>(x, a)  y = Sub(x, s) }""",
    "Softmax at node .* works along the axis": """g (float[1,3] x) => (float[1,3] y)
        { y = Softmax<axis=0>(x) }""",
    "MatMul at node .* multiplies instances with each other": """g (float[1,3] x) => (float[1,1] y)
        { t = Transpose<perm=[1,0]>(x)  y = MatMul(x, t) }""",
    "Gather at node .* picks instances": """g (float[1,3] x) => (float[3] y)
        <int64 i = {0}> { y = Gather<axis=0>(x, i) }""",
    "Slice at node .* picks instances": """g (float[1,3] x) => (float[1,3] y)
        <int64[1] s = {0}, int64[1] e = {1}, int64[1] a = {0}> { y = Slice(x, s, e, a) }""",
    "Pad at node .* pads along the axis": """g (float[1,3] x) => (float[2,3] y)
        <int64[4] p = {1, 0, 0, 0}> { y = Pad(x, p) }""",
    "Concat at node .* joins along the axis": """g (float[1,3] x) => (float[2,3] y)
        { h = Neg(x)  y = Concat<axis=0>(x, h) }""",
    "Concat at node .* joins instances with constants": """g (float[1,3] x) => (float[1,4] y)
        <float[1,1] c = {1}> { y = Concat<axis=1>(x, c) }""",
    "Add at node .* has the axis in several places": """g (float[1,1] x) => (float[1,1] y)
        { t = Transpose<perm=[1,0]>(x)  y = Add(x, t) }""",
    "Mul at node .* spreads the axis": """g (float[1,3] x) => (float[2,3] y)
        <float[2,1] c = {1, 2}> { y = Mul(x, c) }""",
    "BatchNormalization at node .* takes statistics": """g (float[1,2,3] x) => (float[1,2,3] y)
        <float[2] s = {1, 2}, float[2] m = {0, 1}> {
        y, a, b = BatchNormalization<training_mode=1>(x, s, s, m, s) }""",
    "CumSum at node .* may mix": """g (float[1,3] x) => (float[1,3] y)
        <int64 a = {1}> { y = CumSum(x, a) }""",
    "input 'x' has no axis for instances": "g (float[3] x) => (float[3] y) { y = Relu(x) }",
    "tensor 'z' does not depend": """g (float[1,3] x) => (float[1,3] y, float[1] z)
        <float[1] c = {1}> { y = Relu(x)  z = Identity(c) }""",
}


@pytest.mark.parametrize("why", MIXING)
def test_what_mixes_instances_is_done_one_by_one(why: str) -> None:
    lin = Linearizer(model(MIXING[why]), session_options=plain())
    shape = tuple(lin.graph.inputs["x"].shape or ())
    xs = np.random.default_rng(0).normal(size=(SEVERAL, *shape)).astype(np.float32)
    values = {"x": xs[0], **lin.trace(xs[0])}
    with pytest.raises(MixedError, match=why):
        stacked(lin.section, values, SEVERAL)
    for x, m in zip(xs, lin.map(xs, engine="compiled"), strict=True):
        assert_same_rows(lin(x, engine="reverse"), m.W, anew=True)
        assert "instances at once" not in m.plan


@pytest.mark.parametrize("path", TRAINED, ids=named)
def test_fixtures(path: Any) -> None:
    """All of them go through at once; 70 instances are one full stack and one that is filled up."""
    require(path)
    lin = Linearizer(str(path), session_options=plain())
    shape = [n if isinstance(n, int) else 1 for n in next(iter(lin.graph.inputs.values())).shape]
    xs = np.random.default_rng(0).random((70, *shape[1:])).astype(np.float32)
    maps = list(lin.map(xs, rows=[3, 0], engine="compiled"))
    assert len(maps) == 70
    for i in (0, 63, 64, 69):
        alone = lin(xs[i : i + 1], rows=[3, 0], engine="reverse")
        assert maps[i].plan.endswith("instances at once in a graph compiled for them")
        if not beside_a_kink(alone):
            assert_same_rows(alone, maps[i].W, anew=True)
        maps[i].verify()


def beside_a_kink(m: AffineMap) -> bool:
    """Whether a unit is so near to its kink that a run which rounds otherwise may cross it.

    Windows of zeros behind a ReLU lie on kinks that move nothing.
    """
    near, on = (sum(m.near_kinks(distance).values()) for distance in (1e-5, 0.0))
    return near > on


def test_auto_stacks_where_there_are_many() -> None:
    lin = Linearizer(mlp())
    xs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    assert {m.engine for m in lin.map(xs)} == {"compiled"}
    assert [m.engine for m in lin.map(xs[:1])] == ["reverse"]  # one by one
    assert {m.engine for m in lin.map(xs, engine="explicit")} == {"explicit"}
    assert {m.dtype for m in lin.map(xs, dtype=np.float64)} == {np.dtype(np.float64)}
    small = Linearizer(mlp(), memory=10)
    with pytest.raises(onnxlin.MemoryBudgetError):
        list(small.map(xs, engine="compiled"))


def test_instances_of_several_inputs_and_ends_inside() -> None:
    proto = onnx.load(TRAINED[0].parent / "odd" / "two_in_two_out.onnx")
    lin = Linearizer(proto)
    shapes = {name: kind.shape for name, kind in lin.graph.inputs.items()}
    rng = np.random.default_rng(0)
    stack = {
        name: rng.normal(size=(SEVERAL, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    for i, m in enumerate(lin.map(stack, engine="compiled")):
        other = lin({name: all_[i] for name, all_ in stack.items()}, engine="reverse")
        assert_same_rows(other, m.W, anew=True)
    inner = Linearizer(mlp(), inputs=["h"], outputs=["y"])
    xs = rng.normal(size=(SEVERAL, 3)).astype(np.float32)
    for x, m in zip(xs, inner.map(xs, engine="compiled"), strict=True):
        other = inner(x[None], engine="reverse")
        assert "instances at once" in m.plan
        np.testing.assert_array_equal(m.x, other.x)
        assert_same_rows(other, m.W, anew=True)
