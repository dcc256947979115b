"""The study of parametric embeddings: losses, measures, graphs, and what its maps must satisfy."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

import onnxlin
from fixtures.studies.shared import data, results
from fixtures.studies.tsne import graph, losses, nets, placed, quality, shipping, web
from fixtures.studies.tsne.graph import Layer

Array = NDArray[Any]


def some(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((n, d)).astype(np.float32)


@pytest.mark.parametrize(
    ("affinities", "loss", "gradient"),
    [
        (lambda x: losses.tsne_affinities(x, 8), losses.kl_student, losses.kl_student_gradient),
        (
            lambda x: losses.fuzzy_graph(x, 6),
            losses.cross_entropy,
            losses.cross_entropy_gradient,
        ),
    ],
    ids=["tsne", "umap"],
)
def test_gradients_are_those_of_the_losses(
    affinities: Callable[[Array], Array],
    loss: Callable[[Array, Array], float],
    gradient: Callable[[Array, Array], Array],
) -> None:
    """Against central differences in float64."""
    p = affinities(some(40, 5)).astype(np.float64)
    y = np.random.default_rng(1).normal(size=(40, 2))
    found = gradient(p, y)
    step = 1e-5
    for place in [(0, 0), (7, 1), (39, 0), (20, 1)]:
        ahead, back = y.copy(), y.copy()
        ahead[place] += step
        back[place] -= step
        slope = (loss(p, ahead) - loss(p, back)) / (2 * step)
        assert found[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)
    # The losses don't change when all points move alike.
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-6)


def test_conditionals_have_the_perplexity_asked_for() -> None:
    """Far clusters: within one, the rows of P are the conditionals, made symmetric."""
    x = some(200, 4)
    p = losses.tsne_affinities(x, 20)
    assert p.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(p, p.T)
    assert (np.diag(p) == 0).all()
    # All points alike but for a rotation have the same bandwidth: P's rows are its conditionals.
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    rows = 100 * losses.tsne_affinities(ring, 10).astype(np.float64)
    entropy = -(rows * np.log(np.maximum(rows, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), 10, rtol=1e-3)


def test_memberships_of_the_fuzzy_graph_add_up() -> None:
    """On a ring all memberships are mutual: a + a - a^2, with sum a = log2 k over k neighbours."""
    angle = np.linspace(0, 2 * np.pi, 101, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    p = losses.fuzzy_graph(ring, 4)
    alone = 1 - np.sqrt(1 - np.minimum(p, 1))
    np.testing.assert_allclose(alone.sum(axis=1), 2, rtol=1e-3)
    assert ((p > 0).sum(axis=1) == 4).all()


def test_trustworthiness_of_a_perfect_and_of_a_torn_neighbourhood() -> None:
    """By its definition, with loops."""
    x, y = some(30, 3), some(30, 2, seed=1)
    assert quality.trustworthiness(quality.ranks(x), x, 4) == 1

    def order(points: Array, i: int) -> list[int]:
        distances = ((points.astype(float) - points[i]) ** 2).sum(axis=1)
        return [int(j) for j in np.argsort(distances) if j != i]

    late = 0
    for i in range(30):
        ranks = {j: place + 1 for place, j in enumerate(order(x, i))}
        late += sum(max(0, ranks[j] - 4) for j in order(y, i)[:4])
    expected = 1 - 2 * late / (30 * 4 * (60 - 12 - 1))
    assert quality.trustworthiness(quality.ranks(x), y, 4) == pytest.approx(expected)


def test_nearest() -> None:
    x, among = some(20, 3), some(50, 3, seed=1)
    slow = [int(np.argmin(((among - each) ** 2).sum(axis=1))) for each in x]
    assert quality.nearest(x, among, block=7).tolist() == slow
    assert quality.nearest(among[:9], among, itself=True).tolist() != list(range(9))


def test_principal_components_are_those_of_the_covariance() -> None:
    x = some(200, 4) * np.array([1, 5, 3, 0.1], np.float32)
    mean, components = quality.principal(x)
    found = (x - mean) @ components.T
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    spread = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), spread[:2], rtol=1e-5)


def dense(activation: str, bits: tuple[int | None, ...]) -> onnx.ModelProto:
    random = np.random.default_rng(0)
    widths = (784, 12, 9, 8, 2)
    layers = [
        Layer(
            random.normal(size=(b, a)).astype(np.float32) / np.float32(np.sqrt(a)),
            random.normal(size=b).astype(np.float32),
            kept,
        )
        for a, b, kept in zip(widths[:-1], widths[1:], bits, strict=True)
    ]
    return graph.model(layers, activation, {"seed": 1})


@pytest.mark.parametrize("activation", graph.OPERATORS)
def test_graphs_are_the_nets_that_their_layers_say(activation: str) -> None:
    model = dense(activation, (None,) * 4)
    held = {part.name: numpy_helper.to_array(part) for part in model.graph.initializer}
    x = some(3, 784)
    expected = x
    for i in range(4):
        expected = expected @ held[f"weight{i}"].T + held[f"bias{i}"]
        if i < 3:
            shaped = np.maximum(expected, 0), 1 / (1 + np.exp(-expected))
            expected = shaped[activation == "sigmoid"]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"image": x.reshape(3, 1, 28, 28)})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_packed_nets_keep_the_notes_and_weights_to_half_a_step(tmp_path: Path) -> None:
    whole = dense("relu", (None,) * 4)
    small = shipping.packed(whole)
    assert {p.key: p.value for p in small.metadata_props} == {
        p.key: p.value for p in whole.metadata_props
    }
    held = {part.name: numpy_helper.to_array(part) for part in small.graph.initializer}
    before = {part.name: numpy_helper.to_array(part) for part in whole.graph.initializer}
    for i, bits in enumerate(shipping.BITS[:3]):
        integers, scale = graph.quantized(before[f"weight{i}"], bits or 0)
        np.testing.assert_array_equal(held[f"integers{i}"].astype(np.int8), integers)
        off = np.abs(integers * scale[:, None] - before[f"weight{i}"])
        inside = np.abs(integers) < 2 ** (bits - 1) - 1 if bits else np.zeros(0, bool)
        assert (off <= 0.5001 * scale[:, None])[inside].all()
    path = tmp_path / "small.onnx"
    path.write_bytes(small.SerializeToString())
    x = some(1, 784).reshape(1, 1, 28, 28)
    m = onnxlin.linearize(path, x)
    m.verify()
    np.testing.assert_allclose(nets.embedded(path, x.reshape(1, 784))[0][0], m.y, rtol=1e-5)


def test_ways_lead_from_the_rival_to_the_digit() -> None:
    middle = np.arange(20.0).reshape(10, 2) ** 2
    y, labels = middle + 0.1, np.arange(10)
    rivals = placed.rivals_of(middle, y, labels)
    assert (rivals != labels).all()
    u = placed.ways_of(middle, labels, rivals)
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1)
    assert ((u * (y - middle[rivals])).sum(axis=1) > 0).all()


def test_shipped_nets_place_digits_as_the_results_say() -> None:
    """Points of the picture and centres, measured anew: to half a thousandth of the extent."""
    if not data.available("mnist"):
        pytest.skip("MNIST isn't here: set ONNXLIN_DATA")
    found = results.read("tsne")
    drawn = found["drawn"]
    test = nets.digits("test", len(drawn["labels"]))
    assert drawn["labels"] == "".join(str(label) for label in test.labels)
    for name, title in nets.there().items():
        points = nets.embedded(nets.required(name), test.x)[0]
        low, high = points.min(axis=0), points.max(axis=0)
        places = 1000 * (points - (low + high) / 2) / (high - low).max()
        told = np.array(drawn["planes"][title].split(), float).reshape(-1, 2)
        assert np.abs(places - told).max() <= 0.6
    wrong = found["compared"]["shipped"]["tsne_relu"]["error_train"]["mean"]
    assert 0 < wrong < found["compared"]["pca"]["error_train"]["mean"]


def test_maps_of_the_shipped_nets_are_exact_where_the_page_says_so() -> None:
    digits = nets.shifted().first(10)
    maps = placed.maps_of(nets.required("tsne_relu"), digits.x)
    assert maps.passed == 10
    told = results.read("tsne")["placed"]["tsne_relu"]
    assert told["passed"] == told["digits"]
    # The ten are no part of what was measured, so of the same size, not the same.
    assert maps.residual < 10 * told["residual"]


def test_the_page_of_the_plane_has_all_its_data() -> None:
    """No address of the network in it, and as many maps as it says."""
    text = web.PAGE.read_text("utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert len(text) < 1_500_000
    held = json.loads(text.split("const DATA = ", 1)[1].split(";\n", 1)[0])
    count = len(held["points"])
    assert count == 10 * web.EACH
    slopes = np.frombuffer(base64.b64decode(held["slopes"]), np.int8).reshape(count, 2, 784)
    images = np.frombuffer(base64.b64decode(held["images"]), np.uint8).reshape(count, 784)
    x = images[:5].astype(np.float32) / np.float32(255)
    maps = placed.maps_of(nets.required(web.NET), x)
    for i, point in enumerate(held["points"][:5]):
        np.testing.assert_allclose(point["y"], maps.y[i], atol=1e-3)
        scale = np.array(point["scale"])[:, None]
        assert (np.abs(slopes[i] * scale - maps.W[i]) <= 0.51 * scale).all()
