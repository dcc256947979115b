"""Over a data set: what each part decides, and the margins are the sum of their parts."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import strategies as st

from onnxlin import AffineMap, InputError, Linearizer, ResidualError, linearize
from onnxlin.affine_map import TINY
from onnxlin.program.rates import gamma
from onnxlin.readings import evaluate
from onnxlin.readings.checks import UNIT, floor
from onnxlin.readings.data.floor import least_charge
from onnxlin.testing import GrownModel, onnx_models
from tests.installed import require
from tests.readings.nets import FIXTURES, pictures
from tests.small import model


def net(name: str) -> Linearizer:
    require(FIXTURES / f"{name}.onnx")
    return Linearizer(FIXTURES / f"{name}.onnx")


@pytest.mark.parametrize("name", ["lenet5_mnist", "cnn_bn_mnist", "mlp5_mnist"])
def test_an_evaluation_is_what_the_maps_say(name: str) -> None:
    lin, xs, labels = net(name), pictures("digit"), np.arange(10)
    found = evaluate(lin, xs, labels)
    assert len(found) == 10
    assert found.accuracy["all"] == 1.0
    for i, x in enumerate(xs):
        m = lin(x[None])
        np.testing.assert_array_equal(found.y[i], m.y)
        # The engine may be another one for a map on its own.
        for ours, alone in ((found.Wx[i], m.Wx), (found.b[i], m.b)):
            assert (np.abs(ours - alone) <= 2 * m.composition_bound * m.scale).all()
    right = [(part.argmax(axis=1) == labels).mean() for part in (found.y, found.Wx, found.b)]
    assert list(found.accuracy.values()) == right
    assert list(found.accuracy) == ["all", "W x", "b"]


@pytest.mark.parametrize("name", ["lenet5_mnist", "cnn_bn_mnist"])
def test_margins_are_the_sum_of_their_parts(name: str) -> None:
    lin, xs = net(name), pictures("digit")
    found = evaluate(lin, xs, np.roll(np.arange(10), 1))  # wrong labels have margins as well
    assert found.accuracy["all"] == 0.0
    assert (found.margin < 0).all()
    at, others = np.arange(10), found.y.copy()
    others[at, found.target] = -np.inf
    np.testing.assert_array_equal(found.rival, others.argmax(axis=1))
    np.testing.assert_array_equal(found.margin, found.y[at, found.target] - others.max(axis=1))
    limit = 2 * np.array([(m.bound * m.scale).max() for m in lin.map(xs)])
    assert (np.abs(sum(found.margins.values()) - found.margin) <= limit).all()
    assert sum(found.owned.values()) == pytest.approx(1, abs=limit.max() / abs(found.margin.mean()))
    np.testing.assert_allclose(found.margins["W x"], found.Wx[at, found.target]
                               - found.Wx[at, found.rival], rtol=1e-15)  # fmt: skip


def test_without_labels_the_model_counts_as_right() -> None:
    found = evaluate(net("cnn_bn_mnist"), pictures("digit"))
    np.testing.assert_array_equal(found.target, found.y.argmax(axis=1))
    assert found.labels is None
    assert found.accuracy["all"] == 1.0
    assert (found.margin > 0).all()


def test_progress_and_no_instances() -> None:
    seen: list[tuple[int, int]] = []
    lin, xs = net("mlp2_mnist"), pictures("digit")
    evaluate(lin, xs, progress=lambda *at: seen.append(at))
    assert seen == [(i + 1, 10) for i in range(10)]
    empty = evaluate(lin, xs[:0])
    assert len(empty) == 0
    assert np.isnan(empty.accuracy["all"])


def test_a_node_may_bring_in_a_bias_at_some_instances_only() -> None:
    lin = Linearizer(model("g (float[2] x) => (float[2] y) <float cap={2}> { y = Clip(x, , cap) }"))
    found = evaluate(lin, np.array([[1.0, 0.5], [5.0, 1.0]]))
    np.testing.assert_array_equal(found.margins["Clip:y"], [0, 2])
    np.testing.assert_array_equal(found.margins["W x"], [0.5, -1])
    np.testing.assert_array_equal(found.margin, [0.5, 1])


@draw(onnx_models(min_nodes=2), st.sampled_from(["tangent", "frozen"]))
def test_the_floor_is_below_the_bound_on_any_graph(grown: GrownModel, mode: str) -> None:
    """What lets the bound go uncomputed never lets more through than the bound."""
    for dtype in (np.float32, np.float64):
        m = linearize(grown.model, grown.x, mode=mode, dtype=dtype)
        for least in (least_charge(m), floor(m)):
            assert (least * (m.scale - TINY) <= m.bound * m.scale).all()


@pytest.mark.parametrize("name", ["lenet5_mnist", "cnn_bn_mnist", "resnet_mnist"])
def test_the_floor_of_one_instance_serves_the_others(name: str) -> None:
    lin = net(name)
    maps = list(lin.map(pictures("digit")))
    least = least_charge(maps[0])
    assert least > floor(maps[0]) > 0
    for m in maps:
        assert least == least_charge(m)
        assert (least <= m.bound * (1 + gamma(4, UNIT))).all()


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_a_planted_error_is_caught_at_the_bound(
    monkeypatch: pytest.MonkeyPatch, times: float
) -> None:
    """Past the floor the bound itself decides: half of it passes, twice of it does not."""
    lin, xs = net("cnn_bn_mnist"), pictures("digit")[:1]
    (m,) = lin.map(xs)
    assert (times * m.bound > least_charge(m)).all()
    off, right = times * (m.bound * m.scale).max(), AffineMap.b.func
    if times < 1:
        off = times * (m.bound * m.scale).min()
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + off))
    if times < 1:
        evaluate(lin, xs)
        return
    with pytest.raises(ResidualError, match=r"W x \+ b against F\(x\): row \d has .* against"):
        evaluate(lin, xs)


@pytest.mark.parametrize("labels", [None, np.roll(np.arange(10), 3)])
def test_a_large_map_gives_the_same_without_forming_w(
    monkeypatch: pytest.MonkeyPatch, labels: np.ndarray | None
) -> None:
    lin, xs = net("cnn_bn_mnist"), pictures("digit")
    whole = evaluate(lin, xs, labels)
    monkeypatch.setattr(sys.modules["onnxlin.readings.data.evaluate"], "LARGE", 0)
    rows = []
    made = Linearizer.__call__
    monkeypatch.setattr(Linearizer, "__call__", lambda *a: (rows.append(a[2]), made(*a))[1])
    found = evaluate(lin, {"image": xs}, labels)
    assert all(np.shape(row) == (1, 10) for row in rows)
    assert found.accuracy == whole.accuracy
    np.testing.assert_array_equal(found.y, whole.y)
    np.testing.assert_array_equal(found.rival, whole.rival)
    for i, m in enumerate(lin.map(xs)):
        limit = 2 * m.bound * m.scale
        assert (np.abs(found.Wx[i] - whole.Wx[i]) <= limit).all()
        assert (np.abs(found.b[i] - whole.b[i]) <= 2 * limit).all()
        for part, values in whole.margins.items():
            assert abs(found.margins[part][i] - values[i]) <= limit.max()


def test_labels_and_models_that_do_not_fit() -> None:
    lin, xs = net("mlp2_mnist"), pictures("digit")
    with pytest.raises(InputError, match=r"labels has shape \(3,\) .* expected 10 class indices"):
        evaluate(lin, xs, [1, 2, 3])
    with pytest.raises(InputError, match=r"labels has shape \(10,\) and dtype float64"):
        evaluate(lin, xs, np.arange(10.0))
    with pytest.raises(InputError, match=r"has 10 outputs here, and label 10 was given; .* from 0"):
        evaluate(lin, xs, np.full(10, 10))
    single = Linearizer(model("g (float[2] x) => (float[1] y) { y = ReduceSum(x) }"))
    with pytest.raises(InputError, match="has 1 outputs here; evaluating takes two classes"):
        evaluate(single, np.ones((2, 2)))
    growing = Linearizer(model("g (float[n,2] x) => (float[m] y) <int64[1] all={-1}> "
                               "{ y = Reshape(x, all) }"))  # fmt: skip
    maps = iter([growing(np.ones((1, 2))), growing(np.ones((2, 2)))])
    growing.map = lambda *_, **__: maps  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"instances have \[2, 4\] outputs; .* the same classes"):
        evaluate(growing, np.ones((2, 1, 2)))
