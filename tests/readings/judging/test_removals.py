"""What judges take away, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx
import pytest

from onnxlin import InputError, Linearizer, OptionError, RowsError
from onnxlin.primitives import Array
from onnxlin.readings.attributions.gradients import gradient, gradient_times_input
from onnxlin.readings.judging.curves import deletion, insertion, pixel_flipping
from onnxlin.readings.judging.features import features_of
from onnxlin.readings.judging.fidelity import infidelity, noisy_infidelity
from onnxlin.readings.judging.judge import judge
from onnxlin.readings.judging.removals import removals
from onnxlin.readings.question.question import Question
from tests.agree import assert_close, sums
from tests.readings.exact_nets import bent, linear
from tests.small import model

Net = Callable[[int], tuple[onnx.ModelProto, Array]]


def asked(net: Net, seed: int = 0, row: int = 0) -> Question:
    proto, x = net(seed)
    return Question(Linearizer(proto), x, row)


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
    times = slope.values * (q.x - 0.25)
    allowed = sums(len(q.x), drawn.members @ np.abs(times))
    assert_close(drawn.explained(q, slope), drawn.explained(q, times), allowed)
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
    with pytest.raises(InputError, match="attribution has 3 entries; the map takes 12"):
        deletion(q, values[:3])
    with pytest.raises(InputError, match="holds 12 NaN or infinite values"):
        infidelity(q, values * np.nan)
    with pytest.raises(OptionError, match="steps=0; expected a whole number of at least 1"):
        deletion(q, values, steps=0)
    with pytest.raises(OptionError, match=r"score='logit'; expected one of \['row'"):
        insertion(q, values, score="logit")
    with pytest.raises(OptionError, match=r"order='random'; expected one of"):
        pixel_flipping(q, values, order="random")
    with pytest.raises(OptionError, match=r"sizes=\[13\]; expected numbers of features from 1 to"):
        removals(q, [13])
    with pytest.raises(OptionError, match="samples=0; expected a whole number of at least 1"):
        removals(q, samples=0)
    with pytest.raises(OptionError, match=r"sigma=0; expected a positive number"):
        noisy_infidelity(q, values, sigma=0)
