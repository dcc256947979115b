"""Cotangents that are there at once lie in places of their own; others share them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.engines.live.plan import Plan
from onnxlin.engines.live.pulls import Masked
from tests.small import model

BRANCHES = (
    "g (float[4] x) => (float[4] y, float[4] t) { h = Relu(x)  s = Add(h, h)  "
    "n = Neg(h)  t = Add(s, n)  u = Add(t, h)  v = Add(u, t)  y = Add(v, v) }"
)


def _plan(made, x) -> Plan:
    job = onnxlin.linearize(made, x, engine="live").made_from("a test").job
    return Plan(job.program, job.seeds)


def _assert_apart(plan: Plan) -> None:
    schedule = plan.schedule
    buffers = {id(b): b for b in (*schedule.begins.values(), *schedule.ends.values())}
    buffers |= {id(turn.arrived): turn.arrived for turn in schedule.turns}
    found = list(buffers.values())
    assert max(b.start + b.lines for b in found) == schedule.lines
    for i, one in enumerate(found):
        for other in found[:i]:
            at_once = one.born <= other.dies and other.born <= one.dies
            ends = one.start + one.lines, other.start + other.lines
            assert not at_once or ends[0] <= other.start or ends[1] <= one.start


@pytest.mark.parametrize("name", ["lenet5_mnist.onnx"])
def test_what_is_there_at_once_lies_apart(fixtures: Path, name: str) -> None:
    plan = _plan(fixtures / name, np.ones((1, 1, 28, 28), np.float32))
    _assert_apart(plan)
    every = sum(turn.arrived.lines for turn in plan.schedule.turns)
    assert plan.schedule.lines < every


def test_branches_lie_apart_and_are_copied_where_another_has_them_too() -> None:
    plan = _plan(model(BRANCHES), np.array([1, -1, 2, -2], np.float32))
    _assert_apart(plan)
    copies = [s for turn in plan.schedule.turns for s in turn.sends if s.copied is not None]
    assert copies
    assert all(send.into is not send.copied for send in copies)


def test_an_arena_with_anything_in_it_serves(fixtures: Path) -> None:
    plan = _plan(fixtures / "lenet5_mnist.onnx", np.ones((1, 1, 28, 28), np.float32))
    size = len(plan.seeds)
    wide = np.full(plan.schedule.lines * size, np.nan, plan.program.dtype)
    found = np.zeros((2, plan.program.columns, size), plan.program.dtype)
    plan.sweep(slice(0, size), found[0], wide)
    plan.sweep(slice(0, size), found[1], np.zeros_like(wide))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0], found[1])


SATURATED = (
    "g (float[1,2,40,40] x) => (float[1,2,40,40] y) <float[2,2,1,1] A, float[2] a, float six, "
    "float[2,2,1,1] B> { h = Conv(x, A, a)  r = Clip(h, , six)  y = Conv(r, B) }"
)


@pytest.mark.parametrize("both", [False, True])
def test_few_saturated_units_leave_their_lines_where_they_are(both: bool) -> None:
    """Their bias is in the ledger, and none of what is before them in the map."""
    text = SATURATED.replace("y = Conv(r, B)", "s = Conv(r, B)  y = Add(s, h)")
    made = model(text if both else SATURATED)
    rng = np.random.default_rng(0)
    sizes = {"A": (2, 2, 1, 1), "a": (2,), "B": (2, 2, 1, 1)}
    values = {name: rng.normal(size=size) for name, size in sizes.items()} | {"six": 6.0}
    for name, value in values.items():
        array = np.asarray(value, np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    lin = onnxlin.Linearizer(made)
    x = rng.normal(size=(1, 2, 40, 40)).astype(np.float32)
    x[0, :, 3, 4:9] = 50
    x[0, :, 30, 2] = -50
    m, other = (lin(x, rows=range(0, 3200, 7), engine=e) for e in ("live", "reverse"))
    job = m.made_from("a test").job
    steps = [step for _, terms in Plan(job.program, job.seeds).pulls for _, step in terms]
    assert any(isinstance(step, Masked) for step in steps) != both
    np.testing.assert_allclose(m.W, other.W, atol=1e-5)
    for name, share in other.bias_by_node.items():
        np.testing.assert_allclose(m.bias_by_node[name], share, atol=1e-5)
    m.verify()


@pytest.mark.parametrize("fresh", [False, True])
def test_masked_lines(fresh: bool) -> None:
    step, G = Masked(np.array([1, 3])), np.arange(15.0).reshape(5, 3)
    out = np.ones_like(G)
    step(G, out, fresh=fresh)
    expected = G * np.array([1, 0, 1, 0, 1])[:, None] + (0 if fresh else 1)
    np.testing.assert_array_equal(out, expected)
    step(G, G, fresh=True)
    np.testing.assert_array_equal(G[[1, 3]], 0)
    np.testing.assert_array_equal(G[[0, 2, 4]], out[[0, 2, 4]] - (0 if fresh else 1))


def test_lines_that_are_copied_and_weighed_are_counted() -> None:
    """Of a product that one bias follows: its 2 lines are weighed, the 3 of x are copied to W."""
    made = model("g (float[1,3] x) => (y) <float[3,2] A, float[2] b> { y = Gemm(x, A, b) }")
    for name, size in {"A": (3, 2), "b": (2,)}.items():
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(size, np.float32), name))
    schedule = _plan(made, np.ones((1, 3), np.float32)).schedule
    assert (schedule.charged, schedule.copied) == (2, 3)
