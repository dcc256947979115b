"""Judges of attributions: exact where the model is linear, and not to be fooled elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer
from onnxlin.primitives import Array
from onnxlin.readings.attributions.gradients import gradient, gradient_times_input
from onnxlin.readings.attributions.path import sampled_gradients
from onnxlin.readings.judging.curves import deletion, insertion, pixel_flipping
from onnxlin.readings.judging.fidelity import infidelity, noisy_infidelity, sensitivity_n
from onnxlin.readings.judging.judge import BETTER, judge
from onnxlin.readings.judging.removals import removals
from onnxlin.readings.question.question import Question
from tests.agree import assert_close, sums
from tests.readings.exact_nets import alive, linear
from tests.readings.nets import given

Net = Callable[[int], tuple[onnx.ModelProto, Array]]
FLAT = pytest.mark.parametrize("net", [linear, alive], ids=["linear", "one region"])


def asked(net: Net, seed: int = 0, row: int = 0) -> Question:
    proto, x = net(seed)
    return Question(Linearizer(proto), x, row)


def digit(name: str = "lenet5_mnist") -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x)


# Where F is linear, W x is beyond reproach, in integers and to the last bit


@FLAT
@pytest.mark.parametrize("baseline", [0.0, 2.0])
def test_w_x_has_no_infidelity(net: Net, baseline: float) -> None:
    q = asked(net)
    drawn = removals(q, baseline=baseline, samples=20)
    found = infidelity(q, gradient(q), drawn)
    assert found.value == found.scaled == 0
    assert found.scale == 1
    assert found.relative == 0
    assert found.size > 0
    assert found.samples == len(drawn.sizes)
    if not baseline:
        assert infidelity(q, gradient_times_input(q), drawn).value == 0


@FLAT
def test_sensitivity_n_of_w_x_is_1(net: Net) -> None:
    q = asked(net)
    found = sensitivity_n(q, gradient_times_input(q), removals(q, samples=30))
    np.testing.assert_allclose(found.correlation, 1, rtol=1e-12)
    assert found.mean == pytest.approx(1)
    assert found.sizes[0] == 1
    assert found.sizes[-1] == 9  # of 12 features, 80 %


@FLAT
def test_deletion_of_w_x_is_the_sum_of_the_sorted_contributions(net: Net) -> None:
    q = asked(net)
    parts = q.m.W[0] * q.x
    falling = np.concatenate([[0], np.cumsum(-np.sort(-parts))])
    gone = deletion(q, gradient_times_input(q), steps=12)
    np.testing.assert_array_equal(gone.score, q.y - falling)
    come = insertion(q, gradient_times_input(q), steps=12)
    np.testing.assert_array_equal(come.score, q.y - falling[-1] + falling)
    np.testing.assert_array_equal(gone.fraction, np.arange(13) / 12)
    assert (gone.at_x, gone.at_baseline) == (q.y, q.y - falling[-1])
    assert (come.at_x, come.at_baseline) == (q.y, q.y - falling[-1])
    # A linear F: what insertion gains over the straight line, deletion loses.
    assert gone.relative == pytest.approx(1 - come.relative)


@FLAT
@pytest.mark.parametrize("sign", [1, -1])
def test_areas_are_good_in_one_direction_whatever_x_does_to_f(net: Net, sign: int) -> None:
    """Also where F(x) lies below F(x0): right attributions have the smaller area of deletion."""
    q = Question(asked(net).lin, asked(net).feeds, [sign, 0])
    right = gradient_times_input(q)
    assert deletion(q, right).relative < deletion(q, -right.values).relative
    assert insertion(q, right).relative > insertion(q, -right.values).relative


@FLAT
def test_no_order_deletes_faster_than_w_x(net: Net) -> None:
    q = asked(net)
    best = deletion(q, gradient_times_input(q)).area
    rng = np.random.default_rng(0)
    areas = [deletion(q, rng.normal(size=12)).area for _ in range(30)]
    assert best <= min(areas)
    assert insertion(q, gradient_times_input(q)).area >= max(
        insertion(q, rng.normal(size=12)).area for _ in range(30)
    )


@FLAT
def test_under_noise_too_the_gradient_explains_everything(net: Net) -> None:
    """Sums of products of random numbers: rounded, so to 1e-20 of what F changed."""
    q = asked(net)
    found = noisy_infidelity(q, gradient(q), sigma=0.1)
    assert found.value < 1e-20 * found.size
    wrong = noisy_infidelity(q, np.roll(q.m.W[0], 1), sigma=0.1)
    assert wrong.relative > 0.1


@FLAT
def test_flipping_is_what_replacing_costs(net: Net) -> None:
    q = asked(net)
    found = pixel_flipping(q, gradient_times_input(q), steps=12, draws=1, seed=3)
    noise = np.random.default_rng(3).uniform(q.x.min(), q.x.max(), 12)
    order = np.argsort(-q.m.W[0] * q.x, kind="stable")
    cost = np.cumsum((q.m.W[0] * (noise - q.x))[order])
    assert_close(found.score, q.y + np.concatenate([[0], cost]), rounding(q, noise, order))
    assert found.aopc == pytest.approx(-np.concatenate([[0], cost]).mean())
    half = pixel_flipping(q, gradient_times_input(q), share=0.5, draws=2)
    assert half.flipped[-1] == 6
    least = pixel_flipping(q, gradient_times_input(q), order="least", steps=12, draws=1, seed=3)
    rising = np.argsort(q.m.W[0] * q.x, kind="stable")
    cost = np.cumsum((q.m.W[0] * (noise - q.x))[rising])
    assert_close(least.score[1:], q.y + cost, rounding(q, noise, rising)[1:])


def rounding(q: Question, noise: Array, order: Array) -> Array:
    """What it may put between F after each replacement and F(x) with the costs of all of them."""
    rank = np.argsort(order)
    maps = [q.lin(q.fed(np.where(rank < i, noise, q.x)), q.rows) for i in range(len(order) + 1)]
    runs = np.array([(m.bound * m.scale)[0] for m in maps]) + (q.m.bound * q.m.scale)[0]
    costs = abs(q.y) + np.abs(q.m.W[0]) @ (np.abs(noise) + np.abs(q.x))
    return runs + sums(2 * len(order) + 2, costs)


# Wrong attributions are found out


@FLAT
def test_a_planted_wrong_attribution_is_detected(net: Net) -> None:
    q = asked(net, row=1)
    right, drawn = gradient_times_input(q), removals(q, samples=30)
    wrong = right.values.copy()
    two = np.argsort(-np.abs(wrong))[:2]
    wrong[two[0]], wrong[two[1]] = -wrong[two[1]], -wrong[two[0]]
    assert infidelity(q, wrong, drawn).value > 0
    assert infidelity(q, wrong, drawn).relative > 0.01
    assert sensitivity_n(q, wrong, drawn).mean < 0.99
    assert sensitivity_n(q, -right.values, drawn).mean == pytest.approx(-1)
    assert deletion(q, wrong).area > deletion(q, right).area
    assert insertion(q, wrong).area < insertion(q, right).area


@FLAT
def test_a_multiple_is_as_good_but_for_its_scale(net: Net) -> None:
    q = asked(net)
    right, drawn = gradient_times_input(q), removals(q, samples=10)
    half = replace(right, values=right.values / 2)
    found = infidelity(q, half, drawn)
    assert found.value == found.size / 4
    assert (found.scaled, found.scale) == (0, 2)
    assert deletion(q, half).area == deletion(q, right).area


def test_random_attributions_are_worse_on_average() -> None:
    """On a trained net: over 24 random ones, by several standard errors of their mean."""
    q = digit()
    right, drawn = gradient_times_input(q), removals(q, samples=20)
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal(784) for _ in range(24)]

    def worse(of: Callable[[object], float], sign: float) -> None:
        scores = np.array([sign * of(values) for values in noise])
        error = scores.std(ddof=1) / np.sqrt(len(scores))
        assert sign * of(right) < scores.mean() - 4 * error

    worse(lambda v: deletion(q, v).relative, 1)
    worse(lambda v: insertion(q, v).relative, -1)
    worse(lambda v: sensitivity_n(q, v, drawn).mean, -1)
    worse(lambda v: infidelity(q, v, drawn).relative, 1)
    worse(lambda v: pixel_flipping(q, v, draws=1).aopc, -1)


# Side by side


def test_judge_puts_all_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    q = digit()
    runs: list[int] = []
    right = Question.outputs

    def counted(q: Question, xs: Iterable[Array]) -> Array:
        found = right(q, xs)
        runs.append(len(found))
        return found

    monkeypatch.setattr(Question, "outputs", counted)
    found = judge(
        q, {"W x": gradient_times_input(q), "IG": sampled_gradients(q)}, steps=10, samples=5
    )
    assert list(found.table) == ["W x", "IG", "random"]
    assert all(list(row) == list(BETTER) for row in found.table.values())
    assert found.runs == sum(runs)
    assert (found.baseline, found.seed) == ("zero", 0)
    alone = deletion(q, gradient_times_input(q), steps=10)
    np.testing.assert_array_equal(found.judged["W x"].deletion.score, alone.score)
    worst = found.table["random"]
    for name in ("W x", "IG"):
        row = found.table[name]
        assert row["deletion"] < worst["deletion"]
        assert row["insertion"] > worst["insertion"]
        assert row["sensitivity_n"] > worst["sensitivity_n"]
        assert row["infidelity"] < worst["infidelity"]
    own = judge(q, {"random": np.ones(784)}, steps=2, samples=2)
    assert list(own.table) == ["random"]
