"""How the map changes near x, and which units flip."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer, OptionError
from onnxlin.readings.attributions.gradients import gradient, gradient_times_input
from onnxlin.readings.judging.stability import Pattern, _decided, max_sensitivity, stability
from onnxlin.readings.question.question import Question
from onnxlin.readings.region import Region
from tests.readings.exact_nets import alive, bent, linear
from tests.readings.exactly import in_double
from tests.readings.nets import FIXTURES, given, pictures
from tests.small import model


def asked(net, row: int = 0) -> Question:
    proto, x = net()
    return Question(Linearizer(proto), x, row)


@pytest.mark.parametrize("net", [linear, alive])
def test_within_one_region_nothing_changes(net) -> None:
    found = stability(asked(net))
    assert len(found.neighbours) == 18
    assert len(found.table) == 6
    for each in found.neighbours:
        assert each.flips == each.W == each.ledger == 0
        assert each.error < 1e-12
        assert each.contributions > 0  # x itself has changed


def test_units_flip_where_their_sums_change_sign() -> None:
    """Counted again from the weights of a net of one hidden layer."""
    q = asked(bent)
    proto, _ = bent()
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    found = stability(q, shares=(0.01, 0.3, 3.0), directions=4, seed=1)
    assert found.units == 20
    ways = np.random.default_rng(1).standard_normal((4, 12))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    at = [q.x + s * np.linalg.norm(q.x) * way for s in (0.01, 0.3, 3.0) for way in ways]
    on = q.x @ stored["A"] + stored["a"] > 0
    for x, each in zip(at, found.neighbours, strict=True):
        flips = int(((x @ stored["A"] + stored["a"] > 0) != on).sum())
        assert each.flips == flips
        assert each.flipped == ({"act": flips} if flips else {})
        assert (each.W > 0) == (flips > 0)
        there = q.lin(x[None], [0])
        W, ledger = q.m.W[0], q.m.bias_by_node
        moved = np.linalg.norm(there.W[0] - W) / np.linalg.norm(W)
        np.testing.assert_allclose(each.W, moved, atol=1e-12)
        assert each.distance == pytest.approx(np.linalg.norm(x - q.x))
        zero = np.zeros(1)
        change = sum(abs(there.bias_by_node.get(n, zero)[0] - b[0]) for n, b in ledger.items())
        size = sum(abs(b[0]) for b in ledger.values())
        assert each.ledger == pytest.approx(change / size, abs=1e-12)
        assert each.error == pytest.approx(abs(there.y[0] - q.m(x)[0]), abs=1e-12)
    flips = [row["flips"] for row in found.table]
    assert flips[0] < flips[1] < flips[2]
    assert found.table[0]["flipped_share"] == flips[0] / 20


@pytest.mark.parametrize("name", ["lenet5_mnist", "cnn_bn_mnist", "resnet_fashion"])
def test_nothing_flips_at_x_itself(name: str) -> None:
    """Also where float64 has a unit on the other side of a tie than the run."""
    path, x = given(name)
    q = Question(Linearizer(path), x)
    assert Pattern(_decided(q.m), q.x).flipped(_decided(q.m), q.x) == {}


@pytest.mark.parametrize("name", ["mlp2_mnist", "mlp5_fashion"])
def test_nothing_flips_inside_of_the_region(name: str) -> None:
    """At x, and just before the first wall on the way; just behind it something does."""
    lin = Linearizer(in_double(FIXTURES / f"{name}.onnx"))
    x = np.random.default_rng(0).random((1, 1, 28, 28))
    q = Question(lin, x)
    region = Region(q.m)
    pattern = Pattern(_decided(q.m), q.x)
    way = np.random.default_rng(1).standard_normal(784)
    exit_ = region.step(way)
    assert np.isfinite(exit_.step)
    before, behind = (q.x + share * exit_.step * way for share in (0.999, 1.001))
    there = lin(before.reshape(x.shape), q.rows)
    assert pattern.flipped(_decided(there), before) == {}
    np.testing.assert_allclose(there.W, q.m.W, rtol=1e-10, atol=1e-13)
    beyond = lin(behind.reshape(x.shape), q.rows)
    flipped = pattern.flipped(_decided(beyond), behind)
    assert {unit.node for unit in exit_.units} <= set(flipped)
    assert sum(flipped.values()) >= 1


def test_a_window_flips_once_whatever_its_rivals() -> None:
    net = model("g (double[1,1,2,4] x) => (double[1,1,1,2] y) "
                "{ [pool] y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }")  # fmt: skip
    lin = Linearizer(net)
    q = Question(lin, np.array([[[[9.0, 1, 5, 4], [2, 3, 1, 0]]]]), 0)
    pattern = Pattern(_decided(q.m), q.x)
    assert pattern.units == 2
    # The first window's winner falls behind all three of its rivals; the second's stays.
    x = np.array([[[[0.0, 1, 5, 4], [2, 3, 1, 0]]]])
    assert pattern.flipped(_decided(lin(x)), x.ravel()) == {"pool": 1}


def test_ties_flip_at_once() -> None:
    """A digit's background: equal maxima of pool windows leave their winner at any distance."""
    path, x = given("lenet5_mnist")
    q = Question(Linearizer(path), x)
    assert Region(q.m).ties > 0
    near = stability(q, shares=(1e-4,), directions=1).neighbours[0]
    assert near.flips > 0
    assert near.error < 1e-2 * abs(q.y)
    # The features that those units look at are 0: W x hardly moves.
    assert near.contributions < near.W / 5


def test_a_smooth_model_moves_without_flips() -> None:
    net = model("g (double[1,3] x) => (double[1,3] y) { h = Tanh(x)  [act] y = Relu(h) }")
    q = Question(Linearizer(net), np.array([[0.5, 1.0, -1.0]]), 0)
    found = stability(q, shares=(1e-3, 1e-2), directions=2)
    assert found.units == 3
    assert all(each.flips == 0 and each.W > 0 for each in found.neighbours)


def test_at_zero_distances_are_absolute() -> None:
    net = model("g (double[1,3] x) => (double[1,3] y) { y = Identity(x) }")
    q = Question(Linearizer(net), np.zeros((1, 3)), 0)
    found = stability(q, shares=(0.5,), directions=1).neighbours[0]
    assert found.distance == pytest.approx(0.5)
    assert found.contributions == 1.0  # from nothing to something


def test_max_sensitivity_is_the_largest_change() -> None:
    q = asked(bent)
    assert max_sensitivity(asked(linear), gradient) == 0
    found = max_sensitivity(q, gradient_times_input, radius=0.5, samples=6, seed=4)
    rng = np.random.default_rng(4)
    here = q.m.W[0] * q.x
    changes = []
    for _ in range(6):
        x = q.x + rng.uniform(-0.5, 0.5, 12)
        changes.append(np.linalg.norm(q.lin(x[None], [0]).W[0] * x - here))
    assert found == pytest.approx(max(changes) / np.linalg.norm(here))
    assert max_sensitivity(q, gradient, radius=1e-9) == 0


def test_pictures_keep_their_pixels() -> None:
    x = pictures("digit")[:1]
    q = Question(Linearizer(FIXTURES / "lenet5_mnist.onnx"), x)
    seen = []

    def explain(question: Question):
        seen.append(question.geometry)
        return gradient(question)

    max_sensitivity(q, explain, samples=1)
    assert seen == [q.geometry, q.geometry]


def test_what_stability_refuses() -> None:
    q = asked(linear)
    with pytest.raises(OptionError, match=r"shares=\(0,\); expected positive"):
        stability(q, shares=(0,))
    with pytest.raises(OptionError, match="radius=0; expected a positive number"):
        max_sensitivity(q, gradient, radius=0)
