"""Judges of attributions: exact where the model is linear, and not to be fooled elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import onnx
import pytest

from onnxlin import InputError, Linearizer, OptionError, RowsError
from onnxlin.primitives import Array
from onnxlin.readings.attributions import gradient, gradient_times_input
from onnxlin.readings.attributions_path import sampled_gradients
from onnxlin.readings.judging import BETTER, judge
from onnxlin.readings.judging_curves import deletion, insertion, pixel_flipping
from onnxlin.readings.judging_features import features_of
from onnxlin.readings.judging_fidelity import infidelity, noisy_infidelity, sensitivity_n
from onnxlin.readings.judging_removals import removals
from onnxlin.readings.question import Question
from tests.readings.exact_nets import alive, bent, linear
from tests.readings.nets import given
from tests.small import model

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
    np.testing.assert_allclose(found.score, q.y + np.concatenate([[0], cost]), rtol=1e-13)
    assert found.aopc == pytest.approx(-np.concatenate([[0], cost]).mean())
    half = pixel_flipping(q, gradient_times_input(q), share=0.5, draws=2)
    assert half.flipped[-1] == 6
    least = pixel_flipping(q, gradient_times_input(q), order="least", steps=12, draws=1, seed=3)
    rising = np.argsort(q.m.W[0] * q.x, kind="stable")
    cost = np.cumsum((q.m.W[0] * (noise - q.x))[rising])
    np.testing.assert_allclose(least.score[1:], q.y + cost, rtol=1e-13)


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


# What is taken away


def test_the_channels_of_a_pixel_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for layout in ("1,3,4,5", "1,4,5,3"):
        net = model(f"g (float[{layout}] x) => (float[{layout}] y) {{ y = Relu(x) }}")
        shape = tuple(int(n) for n in layout.split(","))
        q = Question(Linearizer(net), np.ones(shape, np.float32), 0)
        features = features_of(q)
        assert (features.count, features.what) == (20, "pixels")
        seen: list[Array] = []
        right = Question.outputs

        def spied(q: Question, xs: Iterable[Array], right=right, seen=seen) -> Array:
            held = [*xs]
            seen += held
            return right(q, held)

        monkeypatch.setattr(Question, "outputs", spied)
        deletion(q, np.arange(60.0), steps=20)
        drawn = removals(q, [7], samples=3)
        monkeypatch.undo()
        for x in seen:
            pixels = x.reshape(3, 20) if layout == "1,3,4,5" else x.reshape(20, 3).T
            assert (pixels == pixels[0]).all()
        assert [int((x == 0).sum()) for x in seen[:21]] == [3 * n for n in range(21)]
        np.testing.assert_array_equal(drawn.members.sum(axis=1), [7, 7, 7])


def test_groups_may_be_given() -> None:
    q = asked(linear)
    groups = np.repeat([7, 7, 2, 9], 3)
    features = features_of(q, groups)
    assert (features.count, features.what) == (3, "groups")
    parts = q.m.W[0] * q.x
    sums = [parts[groups == g].sum() for g in (2, 7, 9)]
    np.testing.assert_array_equal(features.sums(parts), sums)
    found = deletion(q, parts, groups=groups)
    np.testing.assert_array_equal(found.score, q.y - np.cumsum([0, *np.sort(sums)[::-1]]))
    with pytest.raises(InputError, match="groups has 3 entries of int64; expected 12 integers"):
        features_of(q, [1, 2, 3])


def test_removals_are_what_f_loses() -> None:
    q = asked(bent)
    drawn = removals(q, [2, 5], samples=4, baseline=0.5, seed=2)
    np.testing.assert_array_equal(drawn.sizes, [2] * 4 + [5] * 4)
    np.testing.assert_array_equal(drawn.members.sum(axis=1), drawn.sizes)
    for member, lost in zip(drawn.members, drawn.lost, strict=True):
        changed = np.where(member, 0.5, q.x)
        assert lost == pytest.approx(q.y - q.lin(changed[None]).y[0], abs=1e-12)
    again = removals(q, [2, 5], samples=4, baseline=0.5, seed=2)
    np.testing.assert_array_equal(again.members, drawn.members)


def test_slopes_and_contributions_are_told_apart() -> None:
    q = asked(bent)
    slope, parts = gradient(q), gradient_times_input(q)
    drawn = removals(q, samples=10, baseline=0.25)
    np.testing.assert_allclose(
        drawn.explained(q, slope), drawn.explained(q, slope.values * (q.x - 0.25)), rtol=1e-12
    )
    np.testing.assert_array_equal(drawn.explained(q, parts), drawn.explained(q, parts.values))
    with pytest.raises(OptionError, match="gradient x input gives contributions; infidelity under"):
        noisy_infidelity(q, parts, sigma=1.0)


def test_probabilities_are_the_softmax_of_all_outputs() -> None:
    q = asked(bent)
    values = gradient_times_input(q).values
    found = deletion(q, values, score="probability", steps=12)
    both = Question(q.lin, q.feeds, 1)
    rest = deletion(both, values, score="probability", steps=12)
    np.testing.assert_allclose(found.score + rest.score, 1, rtol=1e-12)
    logits = deletion(q, values, steps=12).score - deletion(both, values, steps=12).score
    np.testing.assert_allclose(found.score, 1 / (1 + np.exp(-logits)), rtol=1e-9)
    against = Question(q.lin, q.feeds, [1, -1])
    with pytest.raises(RowsError, match=r"score='probability' needs one output among several"):
        deletion(against, values, score="probability")


def test_a_constant_f_has_no_scale() -> None:
    net = model("g (float[1,3] x) => (float[1,3] y) <float zero = {0}> { y = Mul(x, zero) }")
    q = Question(Linearizer(net), np.ones((1, 3), np.float32), 0)
    table = judge(q, {"none": np.ones(3)}, samples=3).table["none"]
    assert np.isnan([table["deletion"], table["sensitivity_n"], table["infidelity"]]).all()
    assert table["flipping"] == 0


def test_what_judges_refuse() -> None:
    q = asked(linear)
    values = q.x
    with pytest.raises(InputError, match="attribution has 3 numbers, 0 of them not finite; x has"):
        deletion(q, values[:3])
    with pytest.raises(InputError, match="12 of them not finite"):
        infidelity(q, values * np.nan)
    with pytest.raises(OptionError, match="steps=0; expected at least 1"):
        deletion(q, values, steps=0)
    with pytest.raises(OptionError, match=r"score='logit'; expected one of \['row'"):
        insertion(q, values, score="logit")
    with pytest.raises(OptionError, match=r"order='random', share=1.0, draws=5; expected one of"):
        pixel_flipping(q, values, order="random")
    with pytest.raises(OptionError, match=r"sizes=\[13\]; expected numbers of features from 1 to"):
        removals(q, [13])
    with pytest.raises(OptionError, match="samples=0; expected at least 1"):
        removals(q, samples=0)
    with pytest.raises(OptionError, match=r"sigma=0, samples=200; expected positive"):
        noisy_infidelity(q, values, sigma=0)


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
