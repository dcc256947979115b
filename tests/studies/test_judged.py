"""The study ``judged``: its shortcuts are the library's numbers, and its results come again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixtures.studies.judged import methods
from fixtures.studies.judged.averages import mean_along
from fixtures.studies.judged.curves import curves
from fixtures.studies.judged.rows import row
from fixtures.studies.judged.subjects import BY_NAME, TOY
from fixtures.studies.judged.summary import correlated, judged, sums, verdict_of
from fixtures.studies.shared.results import read, rounded
from onnxlin.readings import (
    Question,
    deletion,
    insertion,
    pixel_flipping,
    sampled_gradients,
    spread_bias,
)

LENET = replace(BY_NAME["lenet5_mnist"], plan=TOY, shipped=True)


@pytest.fixture(scope="module")
def q() -> Question:
    return Question(LENET.lin, LENET.x(7))


def test_curves_of_many_maps_are_those_of_one(q: Question) -> None:
    """Batches of another size round in another order: float32's rounding lies between."""
    plan = replace(TOY, steps=9, draws=2)
    maps = {
        methods.WX: q.m.W[0] * q.x,
        methods.RANDOM: np.random.default_rng(0).random(len(q.x)),
    }
    found = curves(q, maps, plan, seed=3)
    for name, values in maps.items():
        gone = deletion(q, values, steps=9, score="probability")
        come = insertion(q, values, steps=9, score="probability")
        flipped = pixel_flipping(q, values, steps=9, draws=2, seed=3)
        assert found[name]["deletion"] == pytest.approx(gone.area, rel=1e-4)
        assert found[name]["insertion"] == pytest.approx(come.area, rel=1e-4)
        assert found[name]["flipping"] == pytest.approx(flipped.aopc, rel=1e-4)


def test_patches_keep_the_sum_and_are_flat(q: Question) -> None:
    values = np.random.default_rng(0).standard_normal(len(q.x))
    found = methods.in_patches(q, values, 7).reshape(28, 28)
    assert found.sum() == pytest.approx(values.sum())
    patch = found[7:14, 14:21]
    assert np.ptp(patch) == 0
    assert patch.sum() == pytest.approx(values.reshape(28, 28)[7:14, 14:21].sum())


def test_maps_that_are_complete_add_up(q: Question) -> None:
    found = methods.maps(q, TOY, None, 0)
    spread = spread_bias(q.m)
    assert found[methods.SPREAD].sum() + spread.rest[0] == pytest.approx(q.y, rel=1e-5)
    exact, pieces = methods.exact(q)
    start = float(q.F([np.zeros(len(q.x))])[0])
    assert pieces > 100
    assert exact.sum() == pytest.approx(q.y - start, rel=1e-5)
    assert methods.full_sum(q) == pytest.approx(q.y, rel=1e-5)


def test_the_mean_along_a_segment_integrates_to_the_difference(q: Question) -> None:
    """``(mean W) n = F(x + n) - F(x)``, whatever n."""
    W, pieces = mean_along(q, np.random.default_rng(0))
    n = 0.15 * np.random.default_rng(0).standard_normal(len(q.x))
    end = q.flat(q.fed(q.x + n))
    assert pieces > 100
    assert W @ (end - q.x) == pytest.approx(float(q.F([end])[0]) - q.y, rel=1e-3, abs=1e-3)


def test_many_samples_come_near_exact_integrated_gradients(q: Question) -> None:
    exact, _ = methods.exact(q)
    few, many = (sampled_gradients(q, samples=n).values for n in (5, 100))
    assert np.abs(many - exact).sum() < np.abs(few - exact).sum() / 3


def test_differences_are_paired_and_verdicts_follow_their_intervals() -> None:
    rows = [
        {"judged": {methods.WX: {"deletion": i / 10}, methods.FULL: {"deletion": i / 10 + 0.01}}}
        for i in range(10)
    ]
    found = judged(rows, methods.FULL)
    assert found["deletion"]["more"]["low"] == pytest.approx(0.01)
    assert found["deletion"]["high"] - found["deletion"]["low"] > 0.1
    assert verdict_of(found, "deletion") == -1
    assert verdict_of(judged(rows, methods.WX), "deletion") == 0


def test_missing_sums_are_relative_to_what_is_missed() -> None:
    rows = [
        {"F": 4.0, "F0": 2.0, "judged": {methods.WX: {"sum": 3.0}}},
        {"F": -4.0, "F0": 2.0, "judged": {methods.WX: {"sum": -3.0}}},
    ]
    assert sums(rows, methods.WX)["F"]["mean"] == pytest.approx(2 / 8)
    assert sums(rows, methods.WX)["F - F0"]["mean"] == pytest.approx((1 + 3) / 8)


def test_rank_correlation() -> None:
    assert correlated(np.arange(9.0), np.arange(9.0) ** 3)["mean"] == pytest.approx(1)
    found = correlated(np.random.default_rng(0).random(50), list(range(50)))
    assert found["low"] < found["mean"] < found["high"]


def test_the_first_image_gives_the_same_numbers_again() -> None:
    """But for what torch is needed for, and for the exact path, which takes a second."""
    subject = BY_NAME["lenet5_mnist"]
    if not subject.there:
        pytest.skip("MNIST isn't here: set ONNXLIN_DATA")
    net = read("judged")["nets"]["lenet5_mnist"]
    assert replace(subject.plan).__dict__ == net["plan"]
    again = rounded(row(replace(subject, plan=replace(subject.plan, exact=0, moved=0)), 0, None))
    first = net["first"]
    for key in ("F", "F0", "Wx", "b", "live", "full_sum"):
        assert again[key] == pytest.approx(first[key], rel=1e-4), key
    for name in (methods.WX, methods.SPREAD, methods.SLOPE, methods.SAMPLED, methods.OCCLUSION):
        for metric in ("deletion", "insertion", "flipping", "infidelity", "sum"):
            known = first["judged"][name][metric]
            assert again["judged"][name][metric] == pytest.approx(known, rel=1e-2, abs=1e-3)
