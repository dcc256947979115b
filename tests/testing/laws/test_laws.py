"""The laws as a product: they hold on random graphs, and say why where they say nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings

import onnxlin
from onnxlin.section import MODES
from onnxlin.testing import GrownModel, assert_linearizes, onnx_models
from onnxlin.testing.laws.laws import LAWS, Law, LawError, NotApplicable, Subject, named
from tests.small import X, mlp, model

NAMES = [law.name for law in LAWS]
few = settings(max_examples=max(settings().max_examples // 4, 1))


def said(law: Law, subject: Subject, feeds: dict, mode: str) -> str:
    """Nothing where a law holds, or why it is not applicable."""
    try:
        law.check(subject, feeds, mode)
    except NotApplicable as reason:
        return str(reason)
    return ""


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_random_graphs_obey(law: Law) -> None:
    held = dict.fromkeys(MODES, 0)

    @few
    @given(onnx_models(min_nodes=2, max_nodes=7))
    def holds(grown: GrownModel) -> None:
        subject = Subject(grown.model)
        feeds = subject.feeds(grown.x)
        for mode in MODES:
            held[mode] += not said(law, subject, feeds, mode)

    holds()
    assert held["tangent"] > 0


def test_of_a_map_that_starts_at_embeddings_a_few_rows_are_computed() -> None:
    """What is fed is four numbers of tokens; what is multiplied is 4,096 numbers."""
    table = np.random.default_rng(0).standard_normal((10, 1024)).astype(np.float32)
    text = """g (int64[4] ids) => (float[4,1024] y) <float[10,1024] table> {
        x = Gather(table, ids)  y = Relu(x) }"""
    proto = model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))
    subject = Subject(proto)
    feeds = subject.feeds(np.array([1, 2, 3, 4]))
    assert len(subject.rows(feeds)) == 5
    assert subject.map(feeds).W.shape == (5, 4096)


def smooth() -> Subject:
    text = "g (float[2,2] x) => (float[2,2] y) { [gate] s = Sigmoid(x)  y = Mul(s, x) }"
    return Subject(model(text))


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_a_small_net_obeys_every_law(law: Law, mode: str) -> None:
    """Four units, none of them near its kink: there is no law that has nothing to say."""
    subject = Subject(mlp())
    assert not said(law, subject, subject.feeds(X), mode)


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("inside", "tangent", "no region: Sigmoid 'gate' is smooth and 1 more"),
        ("inside", "frozen", "no region: Sigmoid 'gate' is smooth"),
        ("differences", "frozen", "a frozen map is no slope|the frozen map is no slope"),
        ("readings", "tangent", "the readings differ away from x: Sigmoid 'gate'"),
        ("readings", "frozen", "the readings differ away from x"),
    ],
)
def test_what_holds_at_x_alone_is_not_asked_elsewhere(name: str, mode: str, reason: str) -> None:
    subject = smooth()
    (law,) = named(name)
    with pytest.raises(NotApplicable, match=reason):
        law.check(subject, subject.feeds(np.ones((2, 2))), mode)


def test_smooth_nodes_that_x_does_not_reach_round_in_each_reading() -> None:
    """The same constant, from a slope or from a held weight: apart by a rounding."""
    text = """g (float[1] x) => (float[1] y) <float[1] u = {0.640423}, float[1] k = {0.5}> {
        a = Sign(x)  c = Sub(a, a)  t = Add(c, u)  [gate] s = Sigmoid(t)  p = Add(s, k)
        y = ReduceLogSum(p) }"""
    subject = Subject(model(text))
    feeds = subject.feeds(np.array([0.125]))
    for law in LAWS:
        for mode in MODES:
            why = said(law, subject, feeds, mode)
            assert ("Sigmoid 'gate' and 1 more" in why) is (law.name == "readings"), why


def test_that_what_rounding_may_hide_agrees_says_nothing() -> None:
    text = "g (float[2] x) => (float[2] y) <float[1] c = {8e6}> { s = Add(x, c)  y = Sub(s, c) }"
    subject = Subject(model(text))
    why = said(*named("at-x"), subject, subject.feeds(np.ones(2)), "tangent")
    assert "Not decided for 2 of 2 rows" in why


def test_the_tangent_of_a_smooth_net_is_its_slope() -> None:
    subject = smooth()
    feeds = subject.feeds(np.array([[1.0, -2.0], [0.5, 3.0]]))
    assert not said(*named("differences"), subject, feeds, "tangent")


def test_an_output_whose_shape_jumps_beside_x_is_no_slope() -> None:
    """With it the rows after it are rows of something else."""
    text = (
        "g (float[3] x) => (float[1,n] k, float[3] y) "
        "{ i = NonZero(x)  k = Cast <to = 1> (i)  y = Neg(x) }"
    )
    subject = Subject(model(text))
    feeds = subject.feeds(np.array([0.0, 1.0, 2.0]))
    assert "a kink or a jump" in said(*named("differences"), subject, feeds, "tangent")
    feeds = subject.feeds(np.array([3.0, 1.0, 2.0]))
    assert not said(*named("differences"), subject, feeds, "tangent")


def test_x_may_be_a_scalar() -> None:
    subject = Subject(model("g (float x) => (float y) { y = Relu(x) }"))
    for law in LAWS:
        assert not said(law, subject, subject.feeds(2.0), "tangent")


def test_on_a_kink_the_laws_beside_x_have_nothing_to_say() -> None:
    subject = Subject(model("g (float[2] x) => (float[2] y) { y = Abs(x) }"))
    feeds = subject.feeds(np.zeros(2))
    assert "x lies on 2 kinks" in said(*named("inside"), subject, feeds, "tangent")
    assert "nearer to x than the smallest step" in said(
        *named("differences"), subject, feeds, "tangent"
    )


def test_straight_through_is_no_slope() -> None:
    subject = Subject(
        model("g (float[2] x) => (float[2] y) { y = Round(x) }"), rounding="straight-through"
    )
    feeds = subject.feeds(np.array([0.3, 1.7]))
    assert "straight-through" in said(*named("differences"), subject, feeds, "tangent")
    assert not said(*named("at-x"), subject, feeds, "tangent")


def test_x_may_start_inside_of_the_model() -> None:
    """At the rows of a table that whole numbers look up: the model is cut open there."""
    text = (
        "g (int64[2] i) => (float[2,2] y) <float[3,2] T = {1, -2, 3, 4, -5, 6}, float[2,2] A = "
        "{1, 2, 3, 4}> { e = Gather(T, i)  r = Relu(e)  y = MatMul(r, A) }"
    )
    subject = Subject(model(text))
    feeds = subject.feeds(np.array([0, 2]))
    lin, at = subject.movable(feeds)
    assert set(at) == {"i", "e"}
    np.testing.assert_array_equal(at["e"], [[1, -2], [-5, 6]])
    np.testing.assert_array_equal(lin(at).W, subject.map(feeds).W)
    for law in LAWS:
        assert not said(law, subject, feeds, "tangent")


def test_maps_are_made_once_for_one_x() -> None:
    subject = Subject(mlp())
    feeds = subject.feeds(X)
    m = subject.map(feeds)
    assert subject.map(dict(feeds)) is m
    assert subject.map(subject.feeds(X + 1)) is not m
    assert subject.map(feeds) is not m


def test_a_large_map_is_held_at_a_few_rows() -> None:
    weights = np.ones((1500, 1500), np.float32)
    proto = model(
        "g (float[1,1500] x) => (float[1,1500] y) <float[1500,1500] A> { y = MatMul(x, A) }"
    )
    proto.graph.initializer.append(onnxlin_tensor(weights))
    subject = Subject(proto)
    feeds = subject.feeds(np.ones((1, 1500)))
    assert subject.rows(feeds) == [0, 374, 749, 1124, 1499]
    assert len(subject.map(feeds).rows) == 5


def onnxlin_tensor(weights: np.ndarray) -> object:
    import onnx

    return onnx.numpy_helper.from_array(weights, "A")


def test_rows_may_be_chosen_by_the_outputs() -> None:
    subject = Subject(mlp(), rows=lambda y, columns: [int(np.argmax(y))] * columns)
    feeds = subject.feeds(X)
    m = subject.map(feeds)
    assert len(m.rows) == X.size
    assert (m.y == m.y.max()).all()


def test_a_broken_law_says_everything_and_survives_another_process() -> None:
    error = LawError("at-x", "tangent", "this", "that", "Relu at node 'r'", "do something")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, LawError)
    assert str(again) == str(error)
    for words in ("'at-x' does not hold (mode='tangent')", "expected: this", "found: that",
                  "departs: Relu at node 'r'", "what to do: do something"):  # fmt: skip
        assert words in str(again)
    assert "none, every node agrees" in str(LawError("at-x", "tangent", "this", "that"))


def test_laws_are_chosen_by_name() -> None:
    assert named(None) == LAWS
    assert [law.name for law in named(["ledger", "at-x"])] == ["at-x", "ledger"]
    with pytest.raises(onnxlin.OptionError, match=r"There is no law \['law'\]; expected some of"):
        named("law")
    assert all(law.about for law in LAWS)


@pytest.mark.parametrize("name", ["lenet5_mnist", "resnet_mnist"])
def test_trained_nets_obey(fixtures: Path, name: str) -> None:
    subject = Subject(fixtures / f"{name}.onnx")
    feeds = subject.feeds(np.random.default_rng(0).random((1, 1, 28, 28)))
    assert not any(said(law, subject, feeds, "tangent") for law in LAWS)


@pytest.mark.parametrize("inputs", ["x, s", "x, s, c"])
def test_a_standardised_entry_near_0_is_a_coefficient_like_others(inputs: str) -> None:
    """It is what is left of an entry and the mean: kernels of another kind err by those."""
    given = ", ".join(f"float[30] {name}" for name in inputs.split(", "))
    made = model(f"g ({given}) => (y) {{ y = LayerNormalization <axis = 0> ({inputs}) }}")
    for seed in range(8):
        assert_linearizes(made, laws=["engines"], seed=seed)
