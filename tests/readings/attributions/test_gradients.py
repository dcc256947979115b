"""Attributions from the program: what each is, and what it adds up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings

from onnxlin import Linearizer, OptionError
from onnxlin.primitives import Array
from onnxlin.readings.attributions import baselines as attributions_all
from onnxlin.readings.attributions.baselines import baselines, window
from onnxlin.readings.attributions.full import full_gradient
from onnxlin.readings.attributions.gradients import (
    Attribution,
    gradient,
    gradient_times_input,
    smooth_grad,
)
from onnxlin.readings.attributions.occlusion import occlusion
from onnxlin.readings.attributions.path import integrated_gradients, sampled_gradients
from onnxlin.readings.question.question import Question
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close, sums
from tests.readings.exact_nets import alive, bent, linear, reach
from tests.readings.nets import NETS, given
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
@draw(onnx_models(min_nodes=2))
def test_sums_on_any_graph(grown: GrownModel) -> None:
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
    # Twenty units in each slope, the slope at x taken off and put back, and the mean of them.
    allowed = sums(2 * 20 + 20 + 4, 3 * reach(proto, 0))
    assert_close(found.values, np.mean(slopes, axis=0), allowed)
    error = np.std(slopes, axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(found.error, error, atol=1e-12)
    assert found.parameters == {"samples": 20, "sigma": sigma, "seed": 5}
    again = smooth_grad(q, samples=20, noise=0.3, seed=5)
    assert_close(again.values, found.values, allowed)  # by any engine
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
    allowed = sums(2 * 20 + 9 + 4, 3 * reach(proto, 0))
    monkeypatch.setattr("onnxlin.readings.attributions.gradients.AT_ONCE", 24)
    assert_close(smooth_grad(q, samples=9).values, whole.values, allowed)
    path = sampled_gradients(q, samples=9)
    monkeypatch.setattr("onnxlin.readings.attributions.path.AT_ONCE", 24)
    assert_close(sampled_gradients(q, samples=9).values, path.values, allowed * np.abs(q.x))


def test_smooth_grad_needs_noise_and_samples() -> None:
    proto, x = linear()
    q = Question(Linearizer(proto), np.ones_like(x), 0)
    with pytest.raises(OptionError, match=r"deviation 0 \(x goes from 1 to 1\).* Give sigma="):
        smooth_grad(q)
    with pytest.raises(OptionError, match="samples=1; expected a whole number of at least 2"):
        smooth_grad(q, samples=1, sigma=1.0)
    assert smooth_grad(q, sigma=0.5).parameters["sigma"] == 0.5


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
