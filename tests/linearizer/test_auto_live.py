"""Under "auto" many heavy rows are the live engine's, where it is expected to be faster."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.engines import costs, plan
from onnxlin.engines.live import alive, estimate, seconds
from onnxlin.engines.live.plan import Plan
from onnxlin.engines.seeds import some_of

X = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take the small nets here for large ones."""
    monkeypatch.setattr(plan, "MANY", 4)
    monkeypatch.setattr(plan, "HEAVY", 0)
    monkeypatch.setattr(plan, "FAR", 0)
    return monkeypatch


@pytest.mark.parametrize("opened", [False, True])
def test_it_is_chosen_where_it_is_faster(fixtures: Path, heavy, opened: bool) -> None:
    heavy.setattr(costs, "A_DENSE", 1.0)
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    if opened:
        assert lin(X, engine="compiled").engine == "compiled"
    m = lin(X)
    assert m.engine == "live"
    assert "s are expected for 10 rows" in m.plan
    np.testing.assert_allclose(m.verify().W, lin(X, engine="reverse").W, atol=1e-5)
    assert lin(X, rows=[1]).engine == ("compiled" if opened else "reverse")
    assert lin(X, rows=np.ones((4, 10))).engine == "live"
    assert lin(X, rows=range(3)).engine != "live"


def test_it_is_not_chosen_where_it_is_slower_or_does_not_fit(fixtures: Path, heavy) -> None:
    path = fixtures / "lenet5_mnist.onnx"
    heavy.setattr(costs, "A_DENSE", 0.0)
    heavy.setattr(costs, "AN_ENTRY", 0.0)
    assert Linearizer(path)(X).engine == "reverse"
    heavy.setattr(costs, "A_DENSE", 1.0)
    heavy.setattr(plan, "live_seconds", lambda _: np.inf)
    assert Linearizer(path)(X).engine == "reverse"


def test_more_rows_take_longer_and_no_memory_forever(fixtures: Path) -> None:
    job = Linearizer(fixtures / "vgg_fashion.onnx")(X, engine="live").made_from("the test").job
    few = replace(job, seeds=some_of(job.seeds, np.arange(2)))
    assert 0 < seconds(few) < seconds(job) < np.inf
    assert seconds(replace(job, memory=job.held)) == np.inf


def test_what_a_plan_takes_at_each_x_is_counted(fixtures: Path, monkeypatch) -> None:
    job = Linearizer(fixtures / "vgg_fashion.onnx")(X, engine="live").made_from("the test").job
    before = seconds(job)
    monkeypatch.setattr(costs, "A_MAP", 1.0)
    assert seconds(job) > before + 5


def test_the_plan_is_made_once_and_let_go_of_with_w(fixtures: Path, heavy) -> None:
    heavy.setattr(costs, "A_DENSE", 1.0)
    made, places = [], Plan.places.func
    counted = cached_property(lambda own: made.append(own) or places(own))
    counted.__set_name__(Plan, "places")
    heavy.setattr(Plan, "places", counted)
    m = Linearizer(fixtures / "lenet5_mnist.onnx")(X)
    assert m.engine == "live"
    job = m.made_from("the test").job
    assert m.memory_needed
    assert m.W.shape == (10, 784)
    assert len(made) == 1
    assert not job.plans
    # Whoever asks later has it made anew, and keeps none.
    assert estimate(job) == m.memory_needed
    assert not job.plans


def test_a_plan_that_is_not_taken_is_let_go_of(fixtures: Path, heavy) -> None:
    heavy.setattr(costs, "A_DENSE", 0.0)
    heavy.setattr(costs, "AN_ENTRY", 0.0)
    m = Linearizer(fixtures / "lenet5_mnist.onnx")(X)
    assert m.engine == "reverse"
    assert not m.made_from("the test").job.plans


def test_what_is_mostly_alive_is_not_looked_at_closer(fixtures: Path, heavy) -> None:
    heavy.setattr(costs, "A_DENSE", 1.0)
    heavy.setattr(plan, "ALIVE", 0.0)
    heavy.setattr(plan, "live_seconds", lambda _: pytest.fail("looked at closer"))
    assert Linearizer(fixtures / "lenet5_mnist.onnx")(X).engine == "reverse"


def test_what_takes_no_longer_than_a_plan_is_not_looked_at(fixtures: Path, heavy) -> None:
    heavy.setattr(costs, "A_DENSE", 1.0)
    heavy.setattr(plan, "FAR", np.inf)
    heavy.setattr(plan, "alive", lambda _: pytest.fail("looked at"))
    assert Linearizer(fixtures / "lenet5_mnist.onnx")(X).engine == "reverse"


def test_what_is_alive_is_a_part(fixtures: Path) -> None:
    job = Linearizer(fixtures / "lenet5_mnist.onnx")(X, engine="live").made_from("the test").job
    assert 0 < alive(job) < 1
    few = replace(job, seeds=some_of(job.seeds, np.arange(0)))
    assert alive(few) == 0


@pytest.mark.parametrize("opened", [False, True])
def test_what_is_too_much_alive_is_looked_at_now_and_then(fixtures, heavy, opened: bool) -> None:
    """And at once where a call has other rows; where less is live, the live engine answers."""
    heavy.setattr(plan, "ALIVE", 0.0)
    looked: list[int] = []
    heavy.setattr(plan, "alive", lambda job: looked.append(1) or alive(job))
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    if opened:
        lin(X, engine="compiled")
    else:
        heavy.setattr(plan, "opening", lambda _: np.inf)

    at: list[int] = []
    for i in range(1, 14):
        assert lin(X).engine == ("compiled" if opened else "reverse")
        at += [i] * len(looked)
        looked.clear()
    assert at == [1, 5, 12]
    assert lin(X, rows=range(9)).engine == ("compiled" if opened else "reverse")
    assert looked.pop()
    heavy.setattr(plan, "ALIVE", 1.0)
    heavy.setattr(costs, "A_DENSE", 1.0)
    engines = [lin(X).engine for _ in range(14)]
    assert engines == ["compiled" if opened else "reverse"] * 11 + ["live"] * 3
