"""Foreign attributions: what they are, what they add up to, and what they leave out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st

from onnxlin import Linearizer
from onnxlin.primitives import Array
from onnxlin.readings import spread_bias
from onnxlin.readings.attributions.gradients import gradient, gradient_times_input, smooth_grad
from onnxlin.readings.attributions.path import integrated_gradients, sampled_gradients
from onnxlin.readings.audit.audit import audit
from onnxlin.readings.audit.gap import explain_gap
from onnxlin.readings.question.question import Question
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
