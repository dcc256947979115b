"""Cotangents that are there at once lie in places of their own; others share them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxlin
from onnxlin.engines.live.live import Plan
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
