"""Attributions from the program: what each is, and what it adds up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given as draw
from hypothesis import settings

from onnxlin import Linearizer, OptionError, RegionError
from onnxlin.primitives import Array
from onnxlin.readings import attributions_all
from onnxlin.readings.attributions import (
    Attribution,
    gradient,
    gradient_times_input,
    smooth_grad,
)
from onnxlin.readings.attributions_all import baselines, window
from onnxlin.readings.attributions_full import full_grad, full_gradient
from onnxlin.readings.attributions_occlusion import occlusion
from onnxlin.readings.attributions_path import RULES, integrated_gradients, sampled_gradients
from onnxlin.readings.question import Question
from tests.graphs import Grown, graphs
from tests.readings.exact_nets import alive, bent, linear
from tests.readings.nets import NETS, bias_free, given
from tests.small import model

few = settings(max_examples=max(settings().max_examples // 2, 1))
ON_X: tuple[Callable[[Question], Attribution], ...] = (
    gradient_times_input,
    integrated_gradients,
    sampled_gradients,
    occlusion,
)


def asked(name: str, row: int | None = None) -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x, row)


# All of them on a model that is exactly linear


@pytest.mark.parametrize("net", [linear, alive])
@pytest.mark.parametrize("explain", ON_X, ids=lambda f: f.__name__)
def test_on_a_linear_model_all_contributions_are_w_x(
    net: Callable[[], tuple[object, Array]], explain: Callable[[Question], Attribution]
) -> None:
    """In integers, to the last bit, but for the weights of samples, which are fractions."""
    proto, x = net()
    q = Question(Linearizer(proto), x, 1)  # type: ignore[arg-type]
    slack = 1e-12 if explain in (sampled_gradients, integrated_gradients) else 0.0
    found = explain(q)
    np.testing.assert_allclose(found.values, q.m.W[0] * q.x, rtol=slack)
    assert found.sums is None or found.complete


@pytest.mark.parametrize("net", [linear, alive])
def test_on_a_linear_model_all_gradients_are_w(net: Callable[[], tuple[object, Array]]) -> None:
    proto, x = net()
    q = Question(Linearizer(proto), x, 0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(gradient(q).values, q.m.W[0])
    smooth = smooth_grad(q, samples=5)
    np.testing.assert_array_equal(smooth.values, q.m.W[0])
    assert not smooth.error.any()


# The gradient and W x


@pytest.mark.parametrize("name", NETS)
def test_gradient_and_gradient_times_input(name: str) -> None:
    q = asked(name, 4)
    slope, parts = gradient(q), gradient_times_input(q)
    np.testing.assert_array_equal(slope.values, q.lin(q.feeds, [4], dtype=np.float64).W[0])
    np.testing.assert_array_equal(parts.values, slope.values * q.x)
    assert slope.slopes
    assert slope.sums is None
    assert not slope.complete
    assert parts.complete
    assert parts.sums is not None
    assert parts.sums.expected == q.y - q.m.b[0]
    assert not replace(parts.sums, found=parts.sums.found + 2 * parts.sums.bound).holds
    (shaped,) = parts.by_input.values()
    np.testing.assert_array_equal(shaped.ravel(), parts.values)
    assert shaped.shape == (1, 1, 28, 28)


@few
@draw(graphs(min_size=2))
def test_sums_on_any_graph(grown: Grown) -> None:
    lin = Linearizer(grown.model)
    if not sum(value.size for value in lin.run(grown.x).values()):
        return
    q = Question(lin, grown.x, 0)
    assert gradient_times_input(q).complete
    assert full_gradient(q).complete


# SmoothGrad


def test_smooth_grad_is_the_mean_over_noise() -> None:
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    found = smooth_grad(q, samples=20, noise=0.3, seed=5)
    rng, sigma = np.random.default_rng(5), 0.3 * np.ptp(q.x)
    slopes = [
        q.lin(q.x.reshape(1, -1) + noise[None], [0]).W[0]
        for noise in sigma * rng.standard_normal((20, 12))
    ]
    np.testing.assert_allclose(found.values, np.mean(slopes, axis=0), rtol=1e-12)
    error = np.std(slopes, axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(found.error, error, atol=1e-12)
    assert found.parameters == {"samples": 20, "sigma": sigma, "seed": 5}
    again = smooth_grad(q, samples=20, noise=0.3, seed=5)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-12)  # by any engine
    assert (smooth_grad(q, samples=20, noise=0.3, seed=6).values != found.values).any()


def test_the_standard_error_says_how_far_a_mean_is_off() -> None:
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    far = smooth_grad(q, samples=4000, seed=1)
    gaps = [
        (found.values - far.values) / np.maximum(found.error, 1e-12)
        for found in (smooth_grad(q, samples=100, seed=seed) for seed in range(10, 16))
    ]
    assert 0.7 < float(np.sqrt(np.mean(np.square(gaps)))) < 1.4


def test_many_noisy_inputs_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    whole = smooth_grad(q, samples=9)
    monkeypatch.setattr("onnxlin.readings.attributions.AT_ONCE", 24)
    np.testing.assert_allclose(smooth_grad(q, samples=9).values, whole.values, rtol=1e-12)
    path = sampled_gradients(q, samples=9)
    monkeypatch.setattr("onnxlin.readings.attributions_path.AT_ONCE", 24)
    np.testing.assert_allclose(sampled_gradients(q, samples=9).values, path.values, rtol=1e-12)


def test_smooth_grad_needs_noise_and_samples() -> None:
    proto, x = linear()
    q = Question(Linearizer(proto), np.ones_like(x), 0)
    with pytest.raises(OptionError, match=r"deviation 0 \(x goes from 1 to 1\).* Give sigma="):
        smooth_grad(q)
    with pytest.raises(OptionError, match="samples=1; expected at least 2"):
        smooth_grad(q, samples=1, sigma=1.0)
    assert smooth_grad(q, sigma=0.5).parameters["sigma"] == 0.5


# Integrated Gradients


def test_without_biases_w_x_is_integrated_gradients_from_zero() -> None:
    """Hesse et al., NeurIPS 2021."""
    x = np.random.default_rng(1).normal(size=(1, 1, 8, 8)).astype(np.float32)
    q = Question(Linearizer(bias_free()), x, 0)
    exact, parts = integrated_gradients(q), gradient_times_input(q)
    assert exact.parameters == {"baseline": "zero", "pieces": 1}
    size = np.abs(parts.values).max()
    np.testing.assert_allclose(exact.values, parts.values, atol=1e-9 * size)
    assert exact.complete
    assert not q.m.b.any()
    # Any sample on the way has the same gradient.
    sampled = sampled_gradients(q, samples=3)
    np.testing.assert_allclose(sampled.values, parts.values, atol=1e-4 * size)


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
    np.testing.assert_allclose(found.values, weights @ np.array(slopes) * (q.x - x0), rtol=1e-12)
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
    with pytest.raises(OptionError, match="samples=1; rule 'trapezoid' takes at least 2"):
        sampled_gradients(q, samples=1, rule="trapezoid")


# FullGrad


@pytest.mark.parametrize("name", NETS)
def test_full_gradients_sum_to_f(name: str) -> None:
    q = asked(name)
    found = full_gradient(q)
    assert found.complete
    assert found.sums is not None
    assert found.sums.expected == q.y
    np.testing.assert_array_equal(found.values, q.m.W[0] * q.x)
    shares = {m.node: m.total[0] for m in found.bias_maps}
    assert sum(shares.values()) == pytest.approx(q.m.b[0], abs=1e-9)
    # A bias map that is lost is a gap far beyond rounding.
    largest = max(abs(share) for share in shares.values())
    assert largest > found.sums.bound


def test_an_output_that_no_node_makes_is_the_constant(fixtures: Path) -> None:
    path = fixtures / "odd" / "constant_output.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    lin = Linearizer(path)
    feeds = {name: x[name] for name in lin.graph.inputs}
    size = sum(value.size for value in lin.run(feeds).values())
    found = [full_gradient(Question(lin, feeds, row)) for row in range(size)]
    assert all(each.complete for each in found)
    assert any(each.constant for each in found)


def test_saliency_is_the_sum_of_psi() -> None:
    q = asked("cnn_bn_mnist")
    full = full_gradient(q)

    def psi(plane: Array) -> Array:
        plane = np.abs(plane) - np.abs(plane).min()
        plane = plane / plane.max() if plane.max() else plane
        rows = np.linspace(0, plane.shape[0] - 1, 28)
        across = np.linspace(0, plane.shape[1] - 1, 28)
        tall = np.stack([np.interp(rows, np.arange(len(c)), c) for c in plane.T], axis=1)
        return np.stack([np.interp(across, np.arange(len(r)), r) for r in tall])

    planes = [full.values.reshape(28, 28)]
    for each in full.bias_maps:
        if each.values.ndim == 5:
            planes += list(each.values[0, 0])
    assert len(planes) > 20
    np.testing.assert_allclose(full.saliency(), sum(map(psi, planes)), atol=1e-12)
    whole = full.saliency("layer")
    assert (whole <= full.saliency() + 1e-12).sum() > 700  # a layer's top is one channel's
    assert whole.min() >= 0
    parts = full_grad(q)
    np.testing.assert_allclose(parts.values.reshape(28, 28), full.saliency())
    assert parts.sums is None


def test_saliency_is_for_pictures() -> None:
    proto, x = bent()
    found = full_gradient(Question(Linearizer(proto), x, 0))
    assert found.complete
    with pytest.raises(OptionError, match=r"saliency\(\) is for one picture"):
        found.saliency()
    with pytest.raises(OptionError, match=r"over='all'; expected one of \['channel', 'layer'\]"):
        full_gradient(asked("lenet5_mnist")).saliency("all")


# Occlusion


def test_occlusion_covers_one_patch_after_the_other() -> None:
    """Two channels, windows that overlap and are cut off at the edge: means over what covers."""
    net = model("""g (float[1,3,5,6] x) => (float[1,1] y)
        <float[1,90] w, int64[2] flat = {1, 90}> {
        f = Reshape(x, flat)  s = Mul(f, f)  t = Transpose(w)  y = MatMul(s, t) }""")
    rng = np.random.default_rng(0)
    w = rng.integers(-3, 4, (1, 90)).astype(np.float32)
    net.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    x = rng.integers(-3, 4, (1, 3, 5, 6)).astype(np.float32)
    q = Question(Linearizer(net), x, 0)
    loss = (w.reshape(3, 5, 6) * (x[0] ** 2 - 1)).sum(axis=0)  # at the baseline 1
    # A patch that begins where the one before it has reached the edge adds nothing new.
    found = occlusion(q, 3, 2, baseline=1.0)
    expected_rows = [0, 2]
    total, times = np.zeros((2, 5, 6))
    for top in expected_rows:
        for left in (0, 2, 4):
            total[top : top + 3, left : left + 3] += loss[top : top + 3, left : left + 3].sum()
            times[top : top + 3, left : left + 3] += 1
    expected = np.broadcast_to(total / times, (3, 5, 6))
    np.testing.assert_array_equal(found.values.reshape(3, 5, 6), expected)
    assert found.parameters == {"window": 3, "stride": 2, "baseline": "1"}


def test_gaps_between_patches_are_zero() -> None:
    proto, x = linear()
    q = Question(Linearizer(proto), x, 0)
    found = occlusion(q, 2, 3).values
    parts = q.m.W[0] * q.x
    expected = np.zeros(12)
    for start in (0, 3, 6, 9):
        expected[start : start + 2] = parts[start : start + 2].sum()
    np.testing.assert_array_equal(found, expected)


def test_a_window_goes_along_a_series_over_all_channels() -> None:
    net = model("""g (float[1,2,7] x) => (float[1,1] y) <int64[2] flat = {1, 14}, float[14,1] w =
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}> {
        f = Reshape(x, flat)  y = MatMul(f, w) }""")
    q = Question(Linearizer(net), np.ones((1, 2, 7), np.float32), 0)
    assert q.geometry is None
    steps = np.arange(1, 15).reshape(2, 7).sum(axis=0)
    found = occlusion(q, 3).values.reshape(2, 7)
    expected = np.repeat([steps[:3].sum(), steps[3:6].sum(), steps[6]], [3, 3, 1])
    np.testing.assert_array_equal(found, np.stack([expected, expected]))
    one = occlusion(q, (1, 3)).values.reshape(2, 7)
    np.testing.assert_array_equal(one[0, :3], [6, 6, 6])


def test_every_input_is_covered_in_turn(fixtures: Path) -> None:
    path = fixtures / "odd" / "two_in_two_out.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    lin = Linearizer(path)
    q = Question(lin, {name: x[name] for name in lin.graph.inputs}, 0)
    seen: list[tuple[int, int]] = []
    found = occlusion(q, progress=lambda *at: seen.append(at))
    columns = [np.arange(at.start, at.stop).reshape(q.m.inputs[name].shape)
               for name, at in q.m.columns_of.items()]  # fmt: skip
    patches = [part[..., i].ravel() for part in columns for i in range(part.shape[-1])]
    for patch in patches:
        changed = q.x.copy()
        changed[patch] = 0
        np.testing.assert_allclose(found.values[patch], q.y - q.F([changed])[0], atol=1e-5)
    assert len(columns) == 2
    assert seen[-1] == (len(patches), len(patches))


def test_an_empty_input_has_no_patches() -> None:
    net = model("""g (float[1,2] a, float[0,2] b) => (float[2] y) {
        c = Concat<axis=0>(a, b)  y = ReduceSum<keepdims=0>(c, n) }""")
    net.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "n"))
    x = {"a": np.ones((1, 2), np.float32), "b": np.zeros((0, 2), np.float32)}
    found = occlusion(Question(Linearizer(net), x, 0))
    np.testing.assert_array_equal(found.values, [1, 0])


def test_windows_that_do_not_fit() -> None:
    proto, x = linear()
    q = Question(Linearizer(proto), x, 0)
    with pytest.raises(OptionError, match=r"has 3 axes; input 'x' has the shape \(1, 12\)"):
        occlusion(q, (1, 1, 2))
    with pytest.raises(OptionError, match="window or stride 0; expected 1 positive numbers"):
        occlusion(q, 0)
    with pytest.raises(OptionError, match=r"window or stride \(2,\); expected 2 positive"):
        occlusion(asked("lenet5_mnist"), (2,))


# All of them


def test_baselines_of_a_picture_and_of_a_table() -> None:
    found = baselines(asked("lenet5_mnist"), samples=8)
    assert list(found) == [
        "gradient",
        "gradient x input",
        "sampled Integrated Gradients",
        "SmoothGrad",
        "FullGrad",
        "occlusion",
    ]
    assert found["occlusion"].parameters["window"] == (2, 2)
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    assert list(baselines(q)) == [
        "gradient", "gradient x input", "Integrated Gradients", "SmoothGrad", "occlusion",
    ]  # fmt: skip
    assert "sampled Integrated Gradients" in baselines(q, exact=False)
    flat = Question(Linearizer(proto), np.ones_like(x), 0)
    assert "SmoothGrad" not in baselines(flat)


def test_exact_integrated_gradients_are_for_few_units(monkeypatch: pytest.MonkeyPatch) -> None:
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    monkeypatch.setattr(attributions_all, "FEW_UNITS", 19)
    assert "sampled Integrated Gradients" in baselines(q)
    smooth = model("g (float[1,2] x) => (float[1,2] y) { y = Tanh(x) }")
    curved = Question(Linearizer(smooth), np.array([[1, 2]], np.float32), 0)
    assert "sampled Integrated Gradients" in baselines(curved)


def test_about_256_patches_cover_x() -> None:
    photo = model("g (float[1,3,64,96] x) => (float[1,3,64,96] y) { y = Relu(x) }")
    q = Question(Linearizer(photo), np.ones((1, 3, 64, 96), np.float32), 0)
    assert window(q) == (5, 5)
    long = model("g (float[1,2,1000] x) => (float[1,2,1000] y) { y = Relu(x) }")
    assert window(Question(Linearizer(long), np.ones((1, 2, 1000), np.float32), 0)) == 4
