"""One output at one x: its runs, its baselines, and where it starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import InputError, Linearizer, OptionError, RowsError, TraceError
from onnxlin.inputs import Geometry
from onnxlin.readings.question import runs as question_runs
from onnxlin.readings.question.question import Question, name_of
from tests.agree import assert_close, assert_same_rows
from tests.readings.nets import NETS, given
from tests.small import X, mlp, model


def asked(name: str, **options: object) -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NETS)
def test_many_runs_at_once_are_single_runs(name: str) -> None:
    """Kernels for several instances may add up in another order: both are within the bound."""
    q = asked(name)
    xs = np.random.default_rng(0).random((70, len(q.x)))
    found = q.F(iter(xs))
    assert q.runs.at_once > 1
    assert q.runs.why == ""
    for x, value in list(zip(xs, found, strict=True))[::23]:
        m = q.lin(q.fed(x), q.rows)
        assert abs(value - m.y[0]) <= 2 * (m.bound * m.scale)[0]


def test_fewer_than_a_batch_and_one_more_than_a_batch() -> None:
    q = asked("lenet5_mnist")
    xs = np.random.default_rng(0).random((q.runs.at_once + 1, len(q.x)))
    whole = q.F(xs)
    np.testing.assert_array_equal(q.F(xs[:3]), whole[:3])
    assert len(whole) == q.runs.at_once + 1
    assert q.F(xs[:0]).shape == (0,)


def test_where_instances_mix_they_run_one_by_one() -> None:
    text = "g (float[1,3] x) => (float[1,3] y) { y = CumSum(x, a) }"
    text = text.replace(" {", " <int64 a = {0}> {", 1)
    q = Question(Linearizer(model(text)), X, 0)
    assert q.runs.at_once == 1
    assert "CumSum" in q.runs.why
    np.testing.assert_array_equal(q.F([q.x, 2 * q.x]), [q.y, 2 * q.y])


def test_large_tensors_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question_runs, "BYTES", 100)
    q = asked("lenet5_mnist")
    assert q.runs.at_once == 1
    assert "bytes of tensors" in q.runs.why
    assert q.F([q.x])[0] == q.y


def test_a_batch_that_fails_runs_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """For want of memory, say."""
    q = asked("lenet5_mnist")
    assert q.runs.at_once > 1

    def fails(*_: object) -> None:
        raise TraceError("no memory")

    monkeypatch.setattr(question_runs, "run", fails)
    np.testing.assert_array_equal(q.F([q.x, q.x]), [q.y, q.y])


def test_outputs_come_in_the_order_of_the_rows(fixtures: Path) -> None:
    """Two inputs and two outputs, several instances at once or not."""
    path = fixtures / "odd" / "two_in_two_out.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    lin = Linearizer(path)
    feeds = {name: x[name] for name in lin.graph.inputs}
    y = np.concatenate([value.ravel() for value in lin.run(feeds).values()])
    q = Question(lin, feeds, 0)
    m = lin(feeds)
    assert_close(q.outputs([q.x] * 5), np.tile(y, (5, 1)), 2 * m.bound * m.scale)


def test_gradients_are_rows_of_w() -> None:
    q = asked("lenet5_mnist", row=3)
    xs = np.random.default_rng(0).random((33, len(q.x)))
    found = q.gradients(xs)
    for x, row in list(zip(xs, found, strict=True))[::16]:
        m = q.lin(q.fed(x), [3], engine="reverse")
        assert_same_rows(m, row[None], anew=True)
    assert q.gradients(xs[:0]).shape == (0, len(q.x))


# The row


def test_the_row_is_the_largest_unless_one_is_given() -> None:
    q = asked("lenet5_mnist")
    assert q.name == "7"
    assert asked("lenet5_mnist", row=-1).name == "9"
    margin = np.zeros(10)
    margin[[7, 3]] = 1, -1
    against = asked("lenet5_mnist", row=margin)
    assert against.name == "combination 0"
    y = asked("lenet5_mnist", row=7).y - asked("lenet5_mnist", row=3).y
    assert against.y == pytest.approx(y, rel=1e-6)
    assert against.F([against.x])[0] == pytest.approx(y, rel=1e-5)
    assert "row 7 of 784 features" in repr(q)


def test_what_is_no_row() -> None:
    with pytest.raises(
        RowsError, match=r"row=\[\[1, 2\], \[0, 1\]\]: a question is about one row; give one"
    ):
        Question(Linearizer(mlp()), X, [[1, 2], [0, 1]])
    with pytest.raises(RowsError, match="do not exist"):
        Question(Linearizer(mlp()), X, 5)
    empty = model("g (float[0,3] x) => (float[0,3] y) { y = Relu(x) }")
    with pytest.raises(RowsError, match="no outputs at this x"):
        Question(Linearizer(empty), np.zeros((0, 3), np.float32))


def test_a_geometry_serves_a_flat_picture_and_must_fit() -> None:
    net = model("g (float[1,20] x) => (float[1,20] y) { y = Relu(x) }")
    x = np.arange(20, dtype=np.float32)[None]
    flat = Geometry((1, 20), "nchw", 1, 4, 5)
    q = Question(Linearizer(net), x, 0, geometry=flat)
    assert q.geometry is flat
    assert q.reference("blur")[0] > 0
    with pytest.raises(InputError, match=r"a picture of NCHW, 1 x 3 x 3; x has 20 entries"):
        Question(Linearizer(net), x, 0, geometry=Geometry((1, 9), "nchw", 1, 3, 3))


# Where it starts


def test_a_hidden_start_cuts_the_model(fixtures: Path) -> None:
    """From a hidden tensor on: the same map, and F at any other value of that tensor."""
    path, x = given("lenet5_mnist")
    hidden = Linearizer(path).graph.nodes[2].outputs[0]
    lin = Linearizer(path, inputs=hidden)
    q, m = Question(lin, x, 7), lin(x, [7], dtype=np.float64)
    np.testing.assert_array_equal(q.m.W, m.W)
    assert_close(q.m.b, m.b, 2 * m.composition_bound * m.scale)
    assert q.y == m.y[0]
    near = q.flat(q.fed(q.x * (1 + 1e-6)))
    there = q.lin(q.fed(near), q.rows, dtype=np.float64)
    assert_close(q.F([near]), m(near), 2 * there.bound * there.scale)
    assert abs(q.F([0 * q.x])[0] - m(0 * q.x)[0]) > 0.01  # another region
    # A model that starts at its own inputs is left as it is.
    own = Linearizer(path)
    assert Question(own, x).lin.section is own.section


def test_what_is_beside_a_hidden_start_is_held() -> None:
    """y = (x0 + x1) h(x) + x1: from h on, both sums stay as they are at x."""
    text = """g (float[1,2] x, float[1,2] z) => (float[1,2] y) <float two = {2}> {
        h = Mul(x, two)  s = Add(x, z)  p = Mul(h, s)  y = Add(p, z) }"""
    lin = Linearizer(model(text), inputs="h")
    x = {"x": np.array([[1.0, 2.0]], np.float32), "z": np.array([[3.0, 5.0]], np.float32)}
    q = Question(lin, x, 1)
    np.testing.assert_array_equal(q.m.W, [[0, 7]])
    np.testing.assert_array_equal(q.m.b, [5])
    np.testing.assert_array_equal(q.F([np.array([0.0, 10.0])]), [75])


# Baselines


def test_baselines_by_name() -> None:
    q = asked("lenet5_mnist")
    assert not q.reference("zero").any()
    np.testing.assert_allclose(q.reference("mean"), q.x.mean(), rtol=1e-6)
    blurred = q.reference("blur")
    assert blurred.sum() == pytest.approx(q.x.sum(), rel=0.01)
    assert np.abs(np.diff(blurred)).max() < np.abs(np.diff(q.x)).max() / 2
    np.testing.assert_array_equal(q.reference(0.1), np.full(784, np.float64(np.float32(0.1))))
    np.testing.assert_array_equal(q.reference({"image": np.ones((1, 1, 28, 28))}), np.ones(784))


def test_the_mean_is_that_of_each_channel() -> None:
    net = model("g (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Relu(x) }")
    x = np.random.default_rng(0).random((1, 3, 4, 5)).astype(np.float32)
    q = Question(Linearizer(net), x, 0)
    expected = np.broadcast_to(x.mean(axis=(0, 2, 3), keepdims=True), x.shape)
    np.testing.assert_allclose(q.reference("mean").reshape(x.shape), expected, rtol=1e-5)
    # Of inputs that are no pictures, of each input; a blur goes along the last axis.
    q = Question(Linearizer(mlp()), X)
    np.testing.assert_allclose(q.reference("mean"), X.mean(), rtol=1e-6)
    assert np.ptp(q.reference("blur")) <= np.ptp(X)
    scalar = Question(Linearizer(model("g (float x) => (float y) { y = Relu(x) }")), np.float32(2))
    np.testing.assert_array_equal(scalar.reference("blur"), [2])


def test_what_is_no_baseline() -> None:
    q = Question(Linearizer(mlp()), X)
    with pytest.raises(OptionError, match=r'baseline=.black.; expected "zero", "mean", "blur"'):
        q.reference("black")
    with pytest.raises(InputError, match="baseline has 5 entries"):
        q.reference(np.zeros(5))
    assert [name_of(x0) for x0 in ("mean", 0.5, X, {"x": X})] == ["mean", "0.5", "given", "given"]
