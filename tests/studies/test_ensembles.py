"""The study of ensembles: graphs are sums of their members, weights and shares are right."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from fixtures.studies.ensembles import build, maps, measured
from fixtures.studies.ensembles.members import ARCHITECTURES
from fixtures.studies.shared import data, results
from fixtures.studies.shared.data import prepared, preprocessing, shipped
from fixtures.studies.shared.places import net_file


def members() -> list[onnx.ModelProto]:
    return [onnx.load(net_file(name)) for name in ("mlp5_fashion", "cnn_fashion")]


def garments() -> np.ndarray:
    return prepared(shipped("fashion").images, preprocessing("fashion"))


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: np.ndarray = session.run(None, {"image": image[None]})[0]
    return found


def test_one_graph_is_the_weighted_sum_and_gives_its_members_back() -> None:
    models, weights = members(), np.array([0.25, 0.75])
    whole = build.joined(models, weights, {"seeds": "none"})
    again = build.members_of(whole)
    assert len(again) == 2
    image = garments()[0]
    parts = [run(model, image) for model in models]
    for model, part in zip(again, parts, strict=True):
        np.testing.assert_array_equal(run(model, image), part)
    np.testing.assert_allclose(
        run(whole, image), 0.25 * parts[0] + 0.75 * parts[1], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.3, 0.7)])
def test_the_map_of_the_graph_is_the_weighted_mean_of_maps(weights: tuple[float, float]) -> None:
    models = members()
    found = maps.exactness(models, maps.Group((0, 1), np.array(weights)), garments()[:2])
    assert found["passed"] == found["images"] == 2
    assert max(found["W"], found["b"], found["reading"]) < 1e-13


def test_fitted_weights_are_no_worse_than_any_others() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 300)
    logits = random.normal(size=(3, 300, 4))
    logits[1, np.arange(300), labels] += 2  # one member knows something

    def loss(weights: np.ndarray) -> float:
        mixed = np.tensordot(weights, logits, 1)
        return float((np.log(np.exp(mixed).sum(axis=1)) - mixed[np.arange(300), labels]).mean())

    found = build.fitted(logits, labels)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    best = loss(found)
    assert all(best <= loss(random.dirichlet(np.ones(3))) + 1e-9 for _ in range(200))


def test_noise_tells_a_common_map_from_what_members_add() -> None:
    """Maps = common + noise of known size: the share of squares that is a member's own."""
    random = np.random.default_rng(0)
    noise = maps.Noise()
    for _ in range(20):
        common = random.normal(size=784)
        each = common + 0.5 * random.normal(size=(15, 784))
        noise.add(each, (each[:5].mean(axis=0), each[5:10].mean(axis=0)))
    found = noise.found
    assert found["own"]["mean"] == pytest.approx(0.25 / 1.25, abs=0.01)
    assert found["own_of_5"]["mean"] == pytest.approx(0.05 / 1.05, abs=0.01)
    assert found["alike"]["mean"] == pytest.approx(1 / 1.25, abs=0.02)
    assert found["alike_of_5"]["mean"] == pytest.approx(1 / 1.05, abs=0.02)


def test_five_architectures_are_as_exact_and_as_right_as_the_results_say() -> None:
    found = results.read("ensembles")["architectures"]
    models = [onnx.load(net_file(f"{name}_fashion")) for name in ARCHITECTURES]
    again = maps.exactness(models, maps.even(range(5)), garments()[:2])
    assert again["passed"] == again["images"]
    assert max(again["W"], again["b"]) < 1e-13
    if not data.available("fashion"):
        pytest.skip("Fashion-MNIST isn't here: set ONNXLIN_FASHION")
    test = data.load("fashion", "test", found["images"])
    scores = np.mean([measured.scores(model, test.images) for model in models], axis=0)
    right = float((scores.argmax(axis=1) == test.labels).mean())
    assert right == pytest.approx(found["accuracy"]["shipped"]["F"]["mean"], abs=1e-3)
