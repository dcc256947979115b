"""Integrated Gradients, exact and sampled."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer, OptionError, RegionError
from onnxlin.readings.attributions.gradients import gradient_times_input
from onnxlin.readings.attributions.path import RULES, integrated_gradients, sampled_gradients
from onnxlin.readings.question.question import Question
from tests.agree import assert_close, sums
from tests.readings.exact_nets import bent, reach
from tests.readings.nets import bias_free, given
from tests.small import model
from tests.twin import by_hand


def asked(name: str, row: int | None = None) -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x, row)


# Integrated Gradients


def test_without_biases_w_x_is_integrated_gradients_from_zero() -> None:
    """Hesse et al., NeurIPS 2021."""
    x = np.random.default_rng(1).normal(size=(1, 1, 8, 8)).astype(np.float32)
    q = Question(Linearizer(bias_free()), x, 0)
    exact, parts = integrated_gradients(q), gradient_times_input(q)
    assert exact.parameters == {"baseline": "zero", "pieces": 1}
    hand = by_hand(q.lin(q.feeds, dtype=np.float64))
    assert_close(exact.values, parts.values, 2 * hand.slack[0] * np.abs(q.x))
    assert exact.complete
    assert not q.m.b.any()
    # Any sample on the way has the same gradient.
    sampled = sampled_gradients(q, samples=3)
    single = by_hand(q.lin(q.feeds, dtype=np.float32))
    assert_close(sampled.values, parts.values, single.slack[0] * np.abs(q.x))


def test_with_biases_it_is_not() -> None:
    q = asked("mlp2_mnist")
    exact, parts = integrated_gradients(q), gradient_times_input(q)
    assert np.abs(exact.values - parts.values).sum() > 0.05 * np.abs(exact.values).sum()


@pytest.mark.parametrize("rule", RULES)
def test_sampled_gradients_are_weighted_sums_on_the_way(rule: str) -> None:
    proto, x = bent()
    q, x0 = Question(Linearizer(proto), x, 1), np.full(12, 0.25)
    t, weights = {
        "left": ([0, 0.25, 0.5, 0.75], [0.25] * 4),
        "right": ([0.25, 0.5, 0.75, 1], [0.25] * 4),
        "midpoint": ([0.125, 0.375, 0.625, 0.875], [0.25] * 4),
        "trapezoid": ([0, 1 / 3, 2 / 3, 1], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
    }[rule]
    slopes = [q.lin((x0 + at * (q.x - x0))[None], [1]).W[0] for at in t]
    found = sampled_gradients(q, 0.25, samples=4, rule=rule)
    allowed = sums(20 + 4 + 4, reach(proto, 1) * np.abs(q.x - x0))
    assert_close(found.values, weights @ np.array(slopes) * (q.x - x0), allowed)
    assert found.parameters == {"baseline": "0.25", "samples": 4, "rule": rule}


@pytest.mark.parametrize("rule", RULES)
def test_samples_come_nearer_to_the_exact_sum(rule: str) -> None:
    """By the order of a sum over steps: 100 times the samples, 30 times nearer at least."""
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    exact = integrated_gradients(q)
    assert exact.complete

    def off(samples: int) -> float:
        found = sampled_gradients(q, samples=samples, rule=rule)
        return float(np.abs(found.values - exact.values).sum())

    assert off(2000) < off(20) / 30
    assert not sampled_gradients(q, samples=3, rule=rule).complete


def test_a_jump_is_named() -> None:
    text = """g (float[1,2] x) => (float[1,2] y) <float half = {0.5}, float three = {3}> {
        c = Greater(x, half)  a = Mul(x, three)  b = Neg(x)  y = Where(c, a, b) }"""
    q = Question(Linearizer(model(text)), np.array([[1, 0]], np.float32), 0)
    found = integrated_gradients(q)
    np.testing.assert_array_equal(found.values, [1, 0])
    assert found.sums is not None
    assert found.sums.what == "F(x) - F(x0) - jumps"
    assert found.complete


def test_a_path_leads_through_a_classic_tree_ensemble() -> None:
    """One stump: 2 up to x = 0.5, 5 beyond. Its operator is gone from the newest operator set."""
    helper = onnx.helper
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], name="stump", domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[1, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[2.0, 5.0],
    )  # fmt: skip
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", (1, 2)), ("y", (1, 1)))
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    stump = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    q = Question(Linearizer(stump), np.array([[3, 1]], np.float32), 0)
    found = integrated_gradients(q)
    np.testing.assert_array_equal(found.values, [0, 0])
    assert found.parameters["pieces"] == 2
    assert found.sums is not None
    assert found.sums.what == "F(x) - F(x0) - jumps"
    assert found.complete


def test_what_integrated_gradients_refuse() -> None:
    q = Question(Linearizer(model("g (float[1,2] x) => (float[1,2] y) { y = Tanh(x) }")),
                 np.ones((1, 2), np.float32), 0)  # fmt: skip
    with pytest.raises(RegionError, match="smooth"):
        integrated_gradients(q)
    assert sampled_gradients(q, samples=200).sums is not None
    with pytest.raises(OptionError, match=r"rule='simpson'; expected one of \['left'"):
        sampled_gradients(q, rule="simpson")
    with pytest.raises(OptionError, match="samples=1; expected a whole number of at least 2"):
        sampled_gradients(q, samples=1, rule="trapezoid")
