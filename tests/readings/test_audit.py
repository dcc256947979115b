"""Foreign attributions: what they are, what they add up to, and what they leave out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st
from scipy import stats

from onnxlin import InputError, Linearizer
from onnxlin.primitives import Array
from onnxlin.readings import spread_bias
from onnxlin.readings.attributions import gradient, gradient_times_input, smooth_grad
from onnxlin.readings.attributions_path import integrated_gradients, sampled_gradients
from onnxlin.readings.audit import audit
from onnxlin.readings.audit_agreement import agreement, median_scale, overlap, ranks
from onnxlin.readings.audit_gap import explain_gap
from onnxlin.readings.audit_map import read_map
from onnxlin.readings.question import Question
from tests.readings.exact_nets import bent
from tests.readings.nets import NETS, bias_free, given
from tests.small import model

few = settings(max_examples=max(settings().max_examples // 2, 1))


def asked(name: str = "cnn_bn_mnist", row: int | None = None) -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x, row)


def table() -> Question:
    proto, x = bent()
    return Question(Linearizer(proto), x, 0)


# What a map adds up to, and which biases it leaves out


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_w_x_leaves_out_all_biases(name: str, dtype: type) -> None:
    q = asked(name)
    parts = (q.lin(q.feeds, q.rows).W[0] * q.x).astype(dtype)
    found = audit(q, parts, methods={})
    assert "W x" in found.complete
    assert found.gap.how == "all biases are left out"
    shares = {node: share[0] for node, share in q.m.bias_by_node.items() if share[0]}
    assert set(found.gap.nodes or ()) == set(shares)
    assert found.gap.b == pytest.approx(q.m.b[0])
    assert abs(found.gap.missing) <= found.gap.bound
    sizes = [abs(share) for _, share in found.gap.shares]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", NETS)
def test_w_x_and_all_biases_leave_nothing_out(name: str) -> None:
    q = asked(name)
    spread = spread_bias(q.m)
    whole = q.m.W[0] * q.x + spread.values[0] + spread.rest[0] / len(q.x)
    found = audit(q, whole, methods={})
    assert "F(x)" in found.complete
    assert found.gap.nodes == ()
    assert found.gap.how == "nothing is left out"


def test_a_node_that_is_left_out_is_named() -> None:
    """Each node in turn, and each but it."""
    q = asked()
    parts = q.m.W[0] * q.x
    for node, share in q.m.bias_by_node.items():
        without = parts + (q.m.b[0] - share[0]) / len(q.x)
        gap = audit(q, without, methods={}).gap
        if abs(share[0]) <= gap.bound:
            continue
        assert gap.nodes == (node,)
        assert gap.how == "the bias of one node is left out"
        alone = audit(q, parts + share[0] / len(q.x), methods={}).gap
        assert set(alone.nodes or ()) == set(q.m.bias_by_node) - {node}


def test_a_kind_that_is_left_out_is_named() -> None:
    nodes, kinds = ["a", "b", "c", "d"], ["layer bias", "batch norm", "layer bias", "batch norm"]
    shares = np.array([1.25, -3.5, 0.75, 2.125])
    gap = explain_gap(-1.375, 1e-6, nodes, shares, kinds)
    assert gap.nodes == ("b", "d")
    assert gap.how == "biases of the kind 'batch norm' are left out"
    gap = explain_gap(-2.25, 1e-6, nodes, shares, kinds)
    assert gap.nodes == ("a", "b")
    assert "2 nodes in a row" in gap.how
    gap = explain_gap(1.25 + 2.125, 1e-6, nodes, shares, kinds)
    assert gap.nodes == ("a", "d")
    assert gap.how == "the biases of two nodes are left out"


def test_a_sum_that_fits_by_accident_explains_nothing() -> None:
    """Of many nodes some pair is always near: only a gap met as closely as tries allow counts."""
    rng = np.random.default_rng(0)
    shares = rng.normal(size=60)
    nodes, kinds = [f"n{i}" for i in range(60)], ["layer bias"] * 60
    gap = explain_gap(0.1234, 0.01, nodes, shares, kinds)
    assert gap.nodes is None
    assert gap.missing == pytest.approx(0.1234 - shares.sum())
    exact = explain_gap(float(shares[7] + shares[31]), 0.01, nodes, shares, kinds)
    assert exact.nodes == ("n7", "n31")


def test_no_biases_at_all() -> None:
    x = np.random.default_rng(1).normal(size=(1, 1, 8, 8)).astype(np.float32)
    q = Question(Linearizer(bias_free()), x, 0)
    found = audit(q, q.m.W[0] * q.x, methods={})
    assert set(found.complete) == {"F(x)", "W x", "F(x) - F(x0)"}
    assert found.gap.shares == ()
    wrong = audit(q, q.m.W[0] * q.x + 1, methods={})
    assert wrong.complete == ()
    assert wrong.gap.nodes is None


@pytest.mark.parametrize("baseline", [None, 0.25])
def test_integrated_gradients_add_up_to_the_difference(baseline: float | None) -> None:
    q = table()
    exact = integrated_gradients(q, baseline or 0.0)
    found = audit(q, exact.values, baseline=baseline, methods={})
    assert found.complete == ("F(x) - F(x0)",)
    assert found.baseline == ("zero" if baseline is None else "0.25")
    few = sampled_gradients(q, baseline or 0.0, samples=4)
    assert audit(q, few.values, baseline=baseline, methods={}).complete == ()


def test_against_a_baseline_w_times_the_move_is_exact_too() -> None:
    q = asked()
    x0 = q.reference("mean")
    m = q.lin(q.feeds, q.rows)
    found = audit(q, (m.W[0] * (q.x - x0)).astype(np.float32), baseline="mean", methods={})
    assert found.complete == ("W (x - x0)",)
    assert list(found.exact) == ["W x", "W (x - x0)"]
    assert found.exact["W (x - x0)"].distance < 1e-5
    assert found.exact["W x"].distance > 0.1


def test_a_sum_that_only_the_worst_case_excuses_is_doubtful() -> None:
    q = asked("lenet5_mnist")
    whole = q.m.W[0] * q.x
    right = audit(q, whole, methods={})
    bound = next(each.bound for each in right.sums if each.what == "W x")
    assert right.complete == ("W x",)
    assert right.doubtful == ()
    assert 0 < right.made_here < bound / 100
    near = audit(q, whole + 0.5 * bound / len(whole), methods={})
    assert near.complete == near.doubtful == ("W x",)
    beside = audit(q, whole + (q.m.b[0] + 0.5 * bound) / len(whole), methods={})
    assert beside.gap.nodes == ()
    assert beside.gap.how == "nothing that rounding could not make, but far more than it made here"


def test_a_smooth_model_is_audited_by_its_tangent() -> None:
    net = model("g (float[1,3] x) => (float[1,3] y) { h = Tanh(x)  y = Softmax(h) }")
    q = Question(Linearizer(net), np.array([[0.5, 1.0, -1.0]], np.float32), 0)
    found = audit(q, (q.m.W[0] * q.x).astype(np.float32))
    assert found.complete == ("W x",)
    assert found.gap.how == "all biases are left out"
    assert found.nearest[0].method == "gradient x input"


@few
@draw(st.integers(0, 10**6))
def test_a_map_that_is_off_by_more_than_rounding_is_not_complete(seed: int) -> None:
    q = table()
    parts = q.m.W[0] * q.x
    base = audit(q, parts, methods={})
    (total,) = [each for each in base.sums if each.what == "W x"]
    rng = np.random.default_rng(seed)
    at = int(rng.integers(len(parts)))
    wrong = parts.copy()
    wrong[at] += 3 * total.bound + 1e-12 * np.abs(parts).sum()
    assert "W x" not in audit(q, wrong, methods={}).complete


# What it looks like


METHODS: dict[str, Callable[[Question], Array]] = {
    "gradient": lambda q: gradient(q).values,
    "gradient x input": lambda q: 3 * gradient_times_input(q).values,
    "sampled Integrated Gradients": lambda q: sampled_gradients(q, samples=100).values,
    "SmoothGrad": lambda q: 0.5 * smooth_grad(q, samples=50, seed=9).values,
    "|gradient|": lambda q: np.abs(gradient(q).values),
    "|gradient x input|": lambda q: np.abs(gradient_times_input(q).values) / 7,
}


@pytest.mark.parametrize("method", METHODS)
def test_the_method_that_made_a_map_is_the_nearest(method: str) -> None:
    q = asked("lenet5_mnist")
    found = audit(q, METHODS[method](q))
    assert found.nearest[0].method == method
    distances = [near.agreement.l2 for near in found.nearest]
    assert distances == sorted(distances)


def test_random_maps_look_like_nothing() -> None:
    q = asked("lenet5_mnist")
    noise = np.random.default_rng(0).standard_normal(784)
    found = audit(q, noise)
    assert found.complete == ()
    assert found.gap.nodes is None
    assert all(near.agreement.l2 > 0.95 for near in found.nearest)
    assert abs(found.exact["W x"].pearson) < 0.2
    assert 0.3 < found.exact["W x"].signs < 0.7


# Agreement, against other people's arithmetic


@draw(st.integers(0, 10**6))
def test_agreement_of_two_maps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, r = rng.integers(-3, 4, (2, 30)).astype(np.float64)
    if not (np.ptp(a) and np.ptp(r)):
        return
    found = agreement(a, r)
    assert found.pearson == pytest.approx(np.corrcoef(a, r)[0, 1], abs=1e-12)
    assert found.spearman == pytest.approx(stats.spearmanr(a, r).statistic, abs=1e-12)
    np.testing.assert_array_equal(ranks(a), stats.rankdata(a))
    scale = np.linalg.lstsq(a[:, None], r, rcond=None)[0][0]
    assert found.scale == pytest.approx(scale, abs=1e-12)
    assert found.l2 == pytest.approx(np.linalg.norm(scale * a - r) / np.linalg.norm(r), abs=1e-9)
    # cosine^2 + l2^2 = 1: the best multiple is a projection.
    assert found.cosine**2 + found.l2**2 == pytest.approx(1)
    best = min(np.abs(s * a - r).sum() for s in r[a != 0] / a[a != 0])
    assert np.abs(median_scale(a, r) * a - r).sum() == pytest.approx(best)
    assert found.l1 <= np.abs(a - r).sum() / np.abs(r).sum() + 1e-12
    known = r != 0
    assert found.signs == (np.sign(a) == np.sign(r))[known].mean()


def test_a_map_agrees_with_itself_and_not_with_its_opposite() -> None:
    r = np.random.default_rng(0).normal(size=300)
    same, not_same = agreement(2 * r, r), agreement(-r, r)
    assert same.pearson == pytest.approx(1)
    assert (same.scale, same.distance, same.l2, same.signs) == (0.5, 1.0, 0.0, 1.0)
    assert same.top == {10: 1.0, 100: 1.0}
    assert (not_same.scale, not_same.l2, not_same.signs) == (-1.0, 0.0, 0.0)
    assert not_same.cosine == pytest.approx(-1)
    assert overlap(np.array([3, -2, 1]), np.array([0, 5, 4]), 2) == 0.5
    assert agreement(r[:6], r[:6]).top == {3: 1.0}


@pytest.mark.parametrize("size", [1e-300, 1e200])
def test_agreement_does_not_depend_on_units(size: float) -> None:
    """Slopes of a saturated probability are tiny, and their squares are 0."""
    a, r = np.random.default_rng(0).normal(size=(2, 40))
    here, there = agreement(a, r), agreement(a * size, r * size)
    for name in ("pearson", "spearman", "cosine", "scale", "distance", "l1", "l2", "signs"):
        assert getattr(there, name) == pytest.approx(getattr(here, name))
    assert agreement(a, r * size).scale == pytest.approx(here.scale * size)


def test_a_map_of_zeros_has_no_correlation() -> None:
    r = np.arange(4.0)
    found = agreement(np.zeros(4), r)
    assert np.isnan([found.pearson, found.spearman, found.cosine]).all()
    assert (found.scale, found.l1, found.l2) == (0, 1, 1)
    assert np.isnan(agreement(r, np.zeros(4)).signs)


# The shapes that maps come in


PHOTO = "g (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Relu(x) }"
LAST = "g (float[1,4,5,3] x) => (float[1,4,5,3] y) { y = Relu(x) }"
SERIES = "g (float[1,2,9] x) => (float[1,2,9] y) { y = Relu(x) }"


def of(text: str) -> Question:
    net = model(text)
    shape = [d.dim_value for d in net.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    return Question(Linearizer(net), x, 0)


@pytest.mark.parametrize(
    ("text", "turn", "words"),
    [
        (PHOTO, lambda a: a, "own shape"),
        (PHOTO, lambda a: a[0], "axes of 1 do not count"),
        (PHOTO, lambda a: a.ravel(), "flat"),
        (PHOTO, lambda a: a[0].transpose(1, 2, 0), "channels last; turned"),
        (LAST, lambda a: a.transpose(0, 3, 1, 2), "channels first; turned"),
        (SERIES, lambda a: a[0], "axes of 1"),
    ],
)
def test_maps_of_every_entry(text: str, turn: Callable[[Array], Array], words: str) -> None:
    q = of(text)
    a = np.arange(len(q.x), dtype=np.float32).reshape(next(iter(q.m.inputs.values())).shape)
    found = read_map(q, turn(a))
    assert words in found.assumed
    np.testing.assert_array_equal(found.values[found.features.labels], a.ravel())
    np.testing.assert_array_equal(found.spread, a.ravel())
    assert found.dtype == np.float32


@pytest.mark.parametrize(("text", "channels"), [(PHOTO, 1), (LAST, 3)])
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (1, 1, 4, 5), (4, 5, 1)])
def test_maps_of_every_pixel(text: str, channels: int, shape: tuple[int, ...]) -> None:
    """Against W x added up over the channels."""
    q = of(text)
    parts = (q.m.W[0] * q.x).reshape(next(iter(q.m.inputs.values())).shape)
    plane = parts.sum(axis=channels)[0]
    found = audit(q, plane.reshape(shape), methods={})
    assert "(height, width): each number for all 3 channels" in found.foreign.assumed
    assert found.exact["W x"].distance == 0
    assert "W x" in found.complete
    assert found.foreign.spread.sum() == pytest.approx(plane.sum())


def test_maps_of_every_step() -> None:
    q = of(SERIES)
    parts = (q.m.W[0] * q.x).reshape(2, 9)
    steps = audit(q, parts.sum(axis=0), methods={})
    assert "one number for each of 9, summed over the other axis of (2, 9)" in steps.foreign.assumed
    assert steps.exact["W x"].distance == 0
    assert audit(q, parts.sum(axis=1), methods={}).exact["W x"].distance == 0


def test_maps_of_several_inputs() -> None:
    text = """g (float[1,2] a, float[1,3] b) => (float[1,7] y) {
        c = Concat<axis=1>(a, b, a)  y = Relu(c) }"""
    x = {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 3), np.float32)}
    q = Question(Linearizer(model(text)), x, 3)
    assert read_map(q, np.arange(5)).assumed.startswith("flat")
    named = read_map(q, {"b": np.arange(3) + 2, "a": np.arange(2)})
    np.testing.assert_array_equal(named.values, np.arange(5))
    with pytest.raises(InputError, match=r"names \['a'\]; x has \['a', 'b'\]\. Give one array"):
        read_map(q, {"a": np.arange(2)})
    with pytest.raises(InputError, match=r"map of 'a' has the shape \(3,\); x has \(1, 2\)"):
        read_map(q, {"a": np.arange(3), "b": np.arange(3)})


def test_maps_that_do_not_fit() -> None:
    q = of(PHOTO)
    with pytest.raises(InputError, match=r"the shape \(7,\); x has 'x' \(1, 3, 4, 5\)\. Give one"):
        read_map(q, np.zeros(7))
    with pytest.raises(InputError, match="dtype complex128; expected real numbers"):
        read_map(q, np.zeros(60, complex))
    with pytest.raises(InputError, match="holds 60 NaN or infinite values"):
        read_map(q, np.full(60, np.nan))
    square = of("g (float[1,4,4] x) => (float[1,4,4] y) { y = Relu(x) }")
    with pytest.raises(InputError, match="4 numbers and x 4 x 4: which axis it was summed over"):
        read_map(square, np.zeros(4))
