"""When "auto" opens a graph in a row of calls, and that a loop of compared maps has one engine."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from onnxlin import AffineMap, Linearizer
from onnxlin.engines import costs, plan
from onnxlin.linearizer import by_program, linearizer
from onnxlin.readings.data import evaluate as evaluating
from onnxlin.readings.data.ensemble import Ensemble
from onnxlin.readings.data.evaluate import evaluate
from onnxlin.readings.region.smooth import drift
from tests.small import mlp

XS = np.random.default_rng(0).normal(size=(30, 1, 3)).astype(np.float32)


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch):
    """Plant what opening a graph takes, where it saves a second a call."""

    def plant(opening: float) -> None:
        monkeypatch.setattr(by_program, "costs", lambda *_: (1.0, opening))

    return plant


def engines(lin: Linearizer, count: int) -> list[str]:
    return [lin(x).engine for x in XS[:count]]


@pytest.mark.parametrize(("opening", "without"), [(0.5, 0), (1.5, 1), (12, 1), (13, 10), (200, 30)])
def test_the_second_call_of_ten_opens_a_graph_or_the_eleventh_of_a_hundred(
    saves, opening: float, without: int
) -> None:
    saves(opening)
    expected = ["reverse"] * without + ["compiled"] * (30 - without)
    assert engines(Linearizer(mlp()), 30) == expected


def test_the_call_that_opens_a_graph_builds_no_program(saves, monkeypatch) -> None:
    asked = []

    def counted(ready, ask):
        asked.append(ask)
        return by_program.by_program(ready, ask)

    monkeypatch.setattr(linearizer, "by_program", counted)
    saves(5)
    lin = Linearizer(mlp())
    assert engines(lin, 2) == ["reverse", "compiled"]
    assert len(asked) == 1
    np.testing.assert_allclose(lin(XS[1]).W, lin(XS[1], engine="reverse").W, rtol=1e-5)


def test_what_is_known_of_rows_says_nothing_of_others(saves) -> None:
    saves(5)
    lin = Linearizer(mlp())
    assert lin(XS[0]).engine == "reverse"
    assert lin(XS[0], rows=[0]).engine == "reverse"  # one row has a graph of its own
    assert lin(XS[0], dtype=np.float64).engine == "reverse"
    assert lin(XS[0], rows=[0]).engine == "compiled"
    assert lin(XS[0], dtype=np.float64).engine == "reverse"


def test_a_steady_loop_keeps_the_engine_of_its_first_call(saves) -> None:
    saves(20)
    lin = Linearizer(mlp())
    few, many = lin.steady(5), lin.steady(20)
    assert set(engines(few, 12)) == {"reverse"}
    assert set(engines(many, 3)) == {"compiled"}
    assert set(engines(few, 3)) == {"reverse"}  # though a graph is open by now
    assert lin(XS[0]).engine == "compiled"
    assert set(engines(few, 3)) == {"reverse"}
    assert few(XS[0], engine="compiled").engine == "compiled"
    inner = few.steady(1000)  # as a reading within a reading
    assert set(engines(inner, 2)) == {"reverse"}
    assert set(engines(pickle.loads(pickle.dumps(few)), 2)) == {"reverse"}


def test_a_steady_loop_keeps_a_cut_and_live_entries(fixtures: Path, monkeypatch) -> None:
    for name, value in (("MANY", 4), ("HEAVY", 0)):
        monkeypatch.setattr(plan, name, value)
    monkeypatch.setattr(costs, "A_DENSE", 1.0)
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    xs = np.random.default_rng(0).random((3, 1, 1, 28, 28), dtype=np.float32)
    steady = lin.steady(3)
    assert steady(xs[0]).engine == "live"
    monkeypatch.setattr(costs, "A_DENSE", 0.0)
    monkeypatch.setattr(costs, "AN_ENTRY", 0.0)
    assert lin(xs[0]).engine != "live"
    assert {steady(x).engine for x in xs} == {"live"}
    assert "first map" in steady(xs[1]).plan


def test_a_stack_has_one_engine(saves) -> None:
    saves(5)
    lin = Linearizer(mlp())
    assert {m.engine for m in lin.map(XS[:4])} == {"reverse"}
    assert {m.engine for m in Linearizer(mlp()).map(XS[:5])} == {"compiled"}
    both = Ensemble([(0.5, Linearizer(mlp())), (0.5, Linearizer(mlp()))])
    assert {m.engine for m in both.map(XS[:4])} == {"reverse"}
    assert {m.engine for m in both.map(XS[:5])} == {"compiled"}


@pytest.mark.parametrize(("opening", "engine"), [(3, "compiled"), (5, "reverse")])
def test_a_reading_over_data_has_one_engine(
    saves, monkeypatch, opening: float, engine: str
) -> None:
    """By how many instances there are, which it knows."""
    seen, verified = [], evaluating.verified

    def watched(maps: Iterator[AffineMap], *floors: object) -> Iterator[AffineMap]:
        for m in verified(maps, *floors):
            seen.append(m.engine)
            yield m

    monkeypatch.setattr(evaluating, "verified", watched)
    saves(opening)
    for large in (evaluating.LARGE, 0):
        monkeypatch.setattr(evaluating, "LARGE", large)
        evaluate(Linearizer(mlp()), XS[:4])
    assert seen == [engine] * 8


def test_a_part_of_a_steady_loop_is_taken_as_if_all_came_at_once(fixtures: Path) -> None:
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    xs = np.random.default_rng(0).random((70, 1, 28, 28), np.float32)
    steady = lin.steady(70)
    parts = [*steady.map(xs[:64]), *steady.map(xs[64:])]
    for ours, whole in zip(parts, lin.map(xs), strict=True):
        assert ours.plan == whole.plan
        np.testing.assert_array_equal(ours.W, whole.W)
        np.testing.assert_array_equal(ours.b, whole.b)


@pytest.mark.parametrize("engine", ["reverse", "compiled"])
def test_drift_is_zero_where_the_map_is_the_same(engine: str) -> None:
    lin = Linearizer(mlp())
    m = lin(XS[0], engine=engine)
    lin(XS[0], engine="compiled")
    assert [d.W for d in drift(lin, m, [XS[0], XS[0] + np.float32(1e-6)])] == [0, 0]
