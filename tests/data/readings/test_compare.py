"""Two models over a data set: which decisions changed, and what changed them."""

from __future__ import annotations

import pickle

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin import data
from onnxlin.errors import InputError, OptionError
from onnxlin.readings import blame
from tests.data.stores import digits
from tests.readings.compare.test_compare import changed
from tests.small import model

COUNT = 40


@pytest.fixture
def pair():
    """Two nets of small random weights, and samples near where they decide otherwise."""
    rng = np.random.default_rng(3)
    proto = model(
        "g (float[1,6] x) => (float[1,3] y) { [one] h = MatMul(x, A)  [act] r = Relu(h)  "
        "[last] y = MatMul(r, B) }"
    )
    for name, shape in (("A", (6, 8)), ("B", (8, 3))):
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto, changed(proto, "A", 5, 4.0), rng.normal(size=(COUNT, 6)).astype(np.float32)


def decided(proto, xs):
    """By onnxruntime, one after the other."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return np.concatenate([session.run(None, {"x": x[None]})[0] for x in xs]).astype(np.float64)


def plain(found) -> tuple:
    return {**found.as_dict()}, found.margins.tolist()


def test_it_counts_what_onnxruntime_says(pair) -> None:
    a, b, xs = pair
    labels = np.arange(COUNT) % 3
    ours, theirs = decided(a, xs), decided(b, xs)
    p, q = ours.argmax(axis=1), theirs.argmax(axis=1)
    found = data.compare(a, b, xs, labels)
    at = np.flatnonzero(p != q)
    assert len(at) > 3
    assert [one.sample for one in found.changed] == at.tolist()
    assert (found.count, found.classes, found.fraction) == (COUNT, 3, len(at) / COUNT)
    for one, i in zip(found.changed, at, strict=True):
        assert one.classes == (p[i], q[i])
        assert one.label == labels[i]
        assert one.margins == pytest.approx(
            (ours[i, p[i]] - ours[i, q[i]], theirs[i, p[i]] - theirs[i, q[i]]), abs=1e-6
        )
        assert one.margins[0] > 0 > one.margins[1]
        assert not one.is_tie
        assert not one.pinned
    assert found.accuracy == ((p == labels).mean(), (q == labels).mean())
    assert found.mended == ((p != labels) & (q == labels)).sum()
    assert found.spoilt == ((p == labels) & (q != labels)).sum()
    ranked = np.sort(ours, axis=1)
    np.testing.assert_allclose(found.margins, ranked[:, -1] - ranked[:, -2], atol=1e-6)


def test_shares_are_the_means_of_those_of_each_sample(pair) -> None:
    a, b, xs = pair
    found = data.compare(a, b, xs)
    lin, other = onnxlin.Linearizer(a), onnxlin.Linearizer(b)
    each = []
    for one in found.changed:
        p, q = one.classes
        each.append(blame(lin, other, xs[one.sample][None], np.eye(3)[p] - np.eye(3)[q]))
        assert one.first == each[-1].first
    assert [share.tensor for share in found.shares] == list(each[0].tensors)
    means = np.mean([[e.introduced, e.bent] for e in each], axis=0)
    for i, share in enumerate(found.shares):
        assert (share.introduced, share.bent) == pytest.approx(tuple(means[:, i]))
        assert share.share == pytest.approx(means[:, i].sum() / means.sum())
        assert share.first == sum(e.first == share.tensor for e in each)
    h = next(share for share in found.shares if share.tensor == "h")
    assert h.nodes_a == h.nodes_b == ("MatMul 'one'",)
    assert h.constants == ("A",)
    # The ReLU is where units cross their kinks, and nothing else is brought in anywhere.
    assert {s.tensor for s in found.shares if s.introduced} == {"h"}
    assert abs(next(s.bent for s in found.shares if s.tensor == "r")) > 0.01
    assert found.bent == pytest.approx(means[1].sum() / means.sum())
    assert found.rest < 1e-14
    assert sum(share.share for share in found.shares) == pytest.approx(1)
    assert "of 40 decisions changed; most by " in str(found)


def test_nothing_changed(pair) -> None:
    a, _, xs = pair
    found = data.compare(a, a, xs)
    assert not found.changed
    assert found.fraction == 0
    assert found.shares == ()
    assert found.first is found.bent is found.accuracy is found.mended is None
    assert str(found) == "0 of 40 decisions changed"
    assert found.as_dict()["margins"]["changed"] is None


def test_inputs_outputs_and_classes_are_matched(pair) -> None:
    """B's outputs stand under another name; labels may be those of the data, the data limited."""
    a, b, xs = pair
    renamed = onnx.ModelProto()
    renamed.CopyFrom(b)
    renamed.graph.input[0].name = renamed.graph.node[0].input[0] = "given"
    renamed.graph.output[0].name = renamed.graph.node[-1].output[0] = "scores"
    source = data.open_source(xs, onnxlin.Linearizer(a).graph.inputs, labels=np.arange(COUNT) % 3)
    found = data.compare(a, renamed, source, limit=30, chunk=7)
    whole = data.compare(a, b, xs[:30], np.arange(30) % 3)
    assert [c.sample for c in found.changed] == [c.sample for c in whole.changed]
    assert found.accuracy == whole.accuracy
    assert "inputs matched by their order, as the names differ: 'x' with 'given'" in found.notes
    shares = {s.tensor: s.introduced for s in found.shares}
    assert shares == {s.tensor: s.introduced for s in whole.shares}


CODES = (
    "g (float[1,2] x) => (float[1,2] y) <float s = {0.5}, int8 z = {0}, float[2,2] A = {1,0,0,1}> "
    "{ [one] h = MatMul(x, A) [to] c = QuantizeLinear(h, s, z) [from] d = DequantizeLinear(c, s, z)"
    " [end] y = Identity(d) }"
)
FLOATS = "g (float[1,2] x) => (float[1,2] y) <float[2,2] A = {1,0,0,1}> { [one] y = MatMul(x, A) }"


def test_outputs_at_the_end_of_their_range_are_named() -> None:
    """127 codes of a half: beyond 63.5 the net says one number, and the first class wins."""
    xs = np.array([[70, 80], [63.5, 10], [10.1, 10.2], [-90, -80], [1, 2]], np.float32)
    found = data.compare(model(FLOATS), model(CODES), xs)
    assert [(c.sample, c.classes) for c in found.changed] == [(0, (1, 0)), (2, (1, 0)), (3, (1, 0))]
    assert [c.pinned for c in found.changed] == [
        ("A's class in B", "B's class in B"), (), ("A's class in B", "B's class in B"),
    ]  # fmt: skip
    assert all(c.is_tie for c in found.changed)
    assert found.as_dict()["ties"] == 3
    assert found.as_dict()["pinned"] == 2
    assert any(note.startswith("B rounds its numbers") for note in found.notes)
    back = data.compare(model(CODES), model(FLOATS), xs[:1])
    assert back.changed[0].pinned == ("A's class in A", "B's class in A")
    # Nothing reaches A's output through a map of 0: all of it is B's own last node, or bent.
    assert back.rest == 0
    both = data.compare(model(CODES), model(CODES), xs)
    assert not both.changed
    assert [note[0] for note in both.notes] == ["A", "B"]


def test_refusals(pair) -> None:
    a, b, xs = pair
    with pytest.raises(InputError, match=r"Label 7 of sample 1 is no output of the model"):
        data.compare(a, b, xs[:2], [0, 7])
    one = model("g (float[1,6] x) => (float[1,1] y) { y = ReduceSum(x) }")
    grid = model("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    with pytest.raises(InputError, match="these models have one"):
        data.compare(one, one, xs)
    with pytest.raises(InputError, match="hold several decisions of one sample"):
        data.compare(grid, grid, xs.reshape(-1, 2, 3))
    with pytest.raises(InputError, match=r"^Instance 33: "):
        data.compare(a, b, np.where(np.arange(COUNT)[:, None] == 33, np.nan, xs), chunk=10)
    with pytest.raises(OptionError, match="There is no rows="):
        data.compare(a, b, xs, rows=[1])


def test_a_store_says_the_same(pair, tmp_path) -> None:
    for package in ("zarr", "xarray", "pyarrow"):
        pytest.importorskip(package)
    a, b, xs = pair
    here = data.compare(a, b, xs, chunk=10)
    store = tmp_path / "made.zarr"
    assert plain(data.compare(a, b, xs, chunk=10, store=store)) == plain(here)
    assert plain(data.compare(a, b, xs, store=store, resume=True)) == plain(here)
    means = data.open(store)["introduced"].mean("sample")
    for share in here.shares:
        assert float(means.sel(tensor=share.tensor)) == pytest.approx(share.introduced)
    with pytest.raises(OptionError, match="was begun with other other"):
        data.compare(a, a, xs, store=store, resume=True)
    assert plain(pickle.loads(pickle.dumps(here))) == plain(here)


def test_shapes_may_differ_between_samples() -> None:
    """The cut model is opened for each: words of any number, added up."""
    text = (
        "g (float[N,2] x) => (float[1,2] y) <float[2,2] A = {BODY}> { "
        "[one] h = MatMul(x, A) [act] r = Relu(h) [sum] y = ReduceSum<keepdims=1>(r, ax) }"
    )
    text = text.replace("{BODY}>", "{1,0.5,0.25,1}, int64[1] ax = {0}>")
    a = model(text)
    lin, other = onnxlin.Linearizer(a), onnxlin.Linearizer(changed(a, "A", 0, -0.5))
    for n in (1, 3, 2):
        x = np.random.default_rng(n).normal(size=(n, 2)).astype(np.float32)
        found = blame(lin, other, x, [1, -1])
        assert found.change
        assert abs(found.rest) < 1e-14


def test_a_net_is_opened_for_what_needs_it_alone(monkeypatch, fixtures) -> None:
    """Where no decision changes, neither model is cut open after the first sample."""
    from onnxlin.readings.compare import blame as module

    calls = []
    right = module.on_values_of_b
    monkeypatch.setattr(module, "on_values_of_b", lambda *a: calls.append(1) or right(*a))
    path = fixtures / "mlp2_mnist.onnx"
    assert not data.compare(path, path, digits(3)).changed
    assert not calls
