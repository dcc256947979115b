"""Runs beside each other: in order, errors in their place, nothing done for whoever has left."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from onnxlin import InputError, LimitError, Linearizer
from onnxlin.engines.compiled.many import runs
from onnxlin.engines.compiled.many.runs import ahead, runs_beside, threads_of_each
from onnxlin.engines.compiled.many.session import InstancesRunner
from onnxlin.linearizer.many import AT_ONCE, BESIDE, FEWEST, together
from onnxlin.runtime import deadline
from onnxlin.runtime.session import fresh_options
from tests.engines.compiled.elsewhere import plain
from tests.small import mlp


@pytest.fixture(params=[1, 2])
def beside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many processors."""
    monkeypatch.setattr(runs, "cores", lambda: request.param)
    return int(request.param)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_parts_come_in_order(beside: int, count: int) -> None:
    def slow_first(part: int) -> int:
        time.sleep(0.02 * (part == 0))
        return part * part

    found = list(ahead(slow_first, range(count), beside))
    assert found == [(i, i * i) for i in range(count)]


def test_two_go_beside_each_other() -> None:
    meeting = threading.Barrier(2)
    found = list(ahead(lambda part: meeting.wait(timeout=20) >= 0, range(4), 2))
    assert [made for _, made in found] == [True] * 4


def test_an_error_comes_in_its_place(beside: int) -> None:
    def work(part: int) -> int:
        if part == 1:
            raise ValueError("the second")
        return part

    left = ahead(work, range(5), beside)
    assert next(left) == (0, 0)
    with pytest.raises(ValueError, match="the second"):
        next(left)
    assert list(left) == []


def test_who_leaves_is_waited_for_by_nobody_else() -> None:
    begun: list[int] = []

    def work(part: int) -> int:
        begun.append(part)
        time.sleep(0.01)
        return part

    before = threading.active_count()
    left = ahead(work, range(100), 2)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert len(begun) <= 4
    assert threading.active_count() == before


def test_a_deadline_holds_in_all_runs() -> None:
    def work(_: int) -> bool:
        return deadline.is_set()

    with deadline.within(60):
        assert all(made for _, made in ahead(work, range(4), 2))
    assert not any(made for _, made in ahead(work, range(4), 2))
    xs = np.ones((70, 3), np.float32)
    lin = Linearizer(mlp())
    list(lin.map(xs, engine="compiled"))
    with deadline.within(1e-9), pytest.raises(LimitError, match="time that was given is over"):
        list(lin.map(xs, engine="compiled"))


def test_threads_are_shared(beside: int) -> None:
    assert runs_beside(None) == beside
    assert runs_beside(fresh_options()) == 1
    # Each run has its caller's thread, and the session its own ones beside them.
    assert threads_of_each(1) == 0
    assert threads_of_each(2) >= 1 or beside == 1


@pytest.mark.parametrize("count", [FEWEST, 7, 8, 15, 16, 31, 33, 64, 65, 1000])
def test_every_run_has_something_to_do(count: int) -> None:
    alone, both = together(count, "compiled", 1), together(count, "compiled", 2)
    assert alone in [n for n in AT_ONCE if n <= 2 * count]
    assert both in [n for n in BESIDE if 2 * n <= count] or both == BESIDE[-1]
    assert together(FEWEST - 1, "compiled", 2) is None
    assert together(count, "reverse", 2) is None


@pytest.mark.parametrize("count", [5, 9, 70, 131])
def test_maps_are_the_same_whatever_goes_beside(beside: int, count: int) -> None:
    xs = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    maps = list(Linearizer(mlp()).map(xs, engine="compiled"))
    others = list(Linearizer(mlp(), session_options=plain()).map(xs, engine="compiled"))
    assert len(maps) == len(others) == count
    for m, other, x in zip(maps, others, xs, strict=True):
        assert "instances at once" in m.plan
        np.testing.assert_array_equal(m.x, x)
        np.testing.assert_allclose(m.W, other.W, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(m.b, other.b, rtol=1e-6, atol=1e-7)
        assert m.residual.max() < 1e-6


def test_an_instance_that_does_not_fit_is_told_of_behind_those_before(beside: int) -> None:
    xs = np.ones((100, 3), np.float32)
    xs[70, 1] = np.nan
    got: list[Any] = []
    with pytest.raises(InputError, match="Instance 70: Input 'x' holds 1 NaN"):
        got.extend(Linearizer(mlp()).map(xs, engine="compiled"))
    assert len(got) == 64


def test_little_memory_has_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "cores", lambda: 2)
    lin = Linearizer(mlp())
    xs = np.ones((70, 3), np.float32)
    list(lin.map(xs, engine="compiled"))
    opened = [found for _, found in lin._ready.shelf._latest.items()]
    (runner,) = (found for found in opened if isinstance(found, InstancesRunner))
    assert runner.runs(2, 2**40) == 2
    assert runner.runs(2, 1) == 1
