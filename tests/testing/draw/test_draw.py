"""Drawn instances fit the model: shapes, types, ranges, and kinks on purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.testing.draw.domains import domains
from onnxlin.testing.draw.draw import KINDS, Drawer, instances
from onnxlin.testing.laws.subject import Subject
from onnxlin.testing.verdicts import NotApplicable
from tests.small import mlp, model

TABLE = "<float[5,2] T = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}>"


def drawn(text: str, kind: str = "normal", seed: int = 0, opset: int = 18) -> dict:
    return Drawer(Subject(model(text, opset)))(kind, seed)


def test_the_same_seed_draws_the_same() -> None:
    subject = Subject(mlp())
    one, two = (list(instances(subject, 9, seed=3)) for _ in range(2))
    assert [d.name for d in one] == [d.name for d in two]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.feeds["x"], b.feeds["x"])
    assert not np.array_equal(one[0].feeds["x"], next(instances(subject, seed=4)).feeds["x"])


def test_all_kinds_are_drawn_in_turn() -> None:
    found = list(instances(Subject(mlp()), 2 * len(KINDS)))
    assert [d.kind for d in found] == [*KINDS, *KINDS]
    by_kind = {d.kind: d.feeds["x"] for d in found}
    assert (by_kind["zeros"] == 0).all()
    assert (by_kind["halves"] * 2 % 1 == 0).all()
    assert ((by_kind["range"] >= 0) & (by_kind["range"] < 1)).all()
    assert np.abs(by_kind["large"]).max() > 20
    assert all(value.dtype == np.float32 for value in by_kind.values())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_kink_is_walked_to(seed: int) -> None:
    """Just before it, on it as near as float32 comes, and just after it."""
    subject = Subject(mlp())
    m = subject.linearizer()(Drawer(subject)("near_kink", seed), dtype=np.float64)
    z = np.abs(m.made_from("test").program.forward(m.x)["h"])
    # The walk ends within 2**-12 of its length beside the kink, or on it.
    assert z.min() < 1e-2 * z.max()
    assert sum(m.near_kinks(1e-2 * float(z.max())).values()) > 0


def test_walks_end_on_both_sides_of_the_kink() -> None:
    """One unit: what is drawn before the kink and after it has different signs."""
    subject = Subject(model("g (float[1] x) => (float[1] y) { y = Relu(x) }"))
    drawer = Drawer(subject)
    sides = {np.sign(drawer("near_kink", seed)["x"][0]) for seed in range(12)}
    assert {-1, 1} <= sides
    assert all(abs(drawer("near_kink", seed)["x"][0]) < 1e-2 for seed in range(12))


def test_kinks_before_smooth_nodes_are_walked_to() -> None:
    subject = Subject(model("g (float[3] x) => (float[3] y) { r = Relu(x)  y = Softmax(r) }"))
    x = Drawer(subject)("near_kink", 0)["x"]
    assert np.abs(x).min() < 1e-2


def test_a_model_without_kinks_has_none_to_walk_to() -> None:
    subject = Subject(model("g (float[3] x) => (float[3] y) { y = Neg(x) }"))
    with pytest.raises(NotApplicable, match="no kink lies in any direction"):
        Drawer(subject)("near_kink", 0)
    assert "near_kink" not in {d.kind for d in instances(subject, 10)}
    subject = Subject(model("g (float[3] x) => (float[3] y) { y = Tanh(x) }"))
    with pytest.raises(NotApplicable, match="no kink"):
        Drawer(subject)("near_kink", 0)


# Shapes


def test_open_axes_of_one_name_have_one_length() -> None:
    text = "g (float[n,t,2] a, float[t,n] b) => (float[n,t,2] y) { y = Relu(a) }"
    x = drawn(text)
    assert x["a"].shape == (1, 3, 2)
    assert x["b"].shape == (3, 1)


def test_open_axes_grow_until_the_model_runs() -> None:
    text = ("g (float[1,1,h,w] x) => (float[1,1,a,b] y) <float[1,1,7,7] k> "
            "{ y = Conv(x, k) }")  # fmt: skip
    proto = model(text)
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones((1, 1, 7, 7), np.float32), "k")
    )
    assert Drawer(Subject(proto)).shapes == {"x": (1, 1, 8, 8)}


def test_a_model_that_runs_at_no_length_says_so() -> None:
    text = "g (float[n,m] x) => (float[a,b] y) <int64[2] k = {7, 13}> { y = Reshape(x, k) }"
    with pytest.raises(onnxlin.OptionError, match=r"runs at none of the lengths \[3, 8"):
        drawn(text)


def test_a_model_that_does_not_run_says_what_the_runtime_says() -> None:
    text = "g (float[2] x, int64[1] i) => (float[1] y) { y = Gather(x, i)  z = Reshape(x, i) }"
    with pytest.raises(onnxlin.OnnxlinError, match="Reshape"):
        drawn(text)


# Values


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        (f"g (int64[9] i) => (float[9,2] y) {TABLE} {{ y = Gather(T, i) }}", 0, 5),
        (f"g (int64[9] i) => (float[2,9] y) {TABLE} {{ j = Identity(i) Tt = Transpose(T) "
         "y = Gather <axis = 1> (Tt, j) }", 0, 5),
        ("g (float[4] x, int32[9] i) => (float[9] y) { y = Gather(x, i) }", 0, 4),
        (f"g (int64[9] attention_mask) => (float[9] y) {TABLE} "
         "{ y = Cast <to = 1> (attention_mask) }", 0, 2),
        ("g (uint8[500] p, float[1] x) => (float[500] y) { f = Cast <to = 1> (p) "
         "y = Mul(f, x) }", 0, 256),
        ("g (int64[90] p, float[1] x) => (float[90] y) { f = Cast <to = 1> (p)  y = Mul(f, x) }",
         0, 10),
        ("g (float[1,3] x, int64[1] k) => (float[1,m] y) { y, i = TopK(x, k) }", 1, 2),
    ],
)  # fmt: skip
def test_whole_numbers_lie_in_what_they_index(text: str, low: int, high: int) -> None:
    drawer = Drawer(Subject(model(text)))
    (name,) = (n for n, d in drawer.domains.items() if not d.kind.is_float)
    seen = np.concatenate([drawer("normal", seed)[name].ravel() for seed in range(20)])
    assert seen.min() == low
    assert seen.max() >= low + (high - low - 1) * 9 // 10
    assert seen.max() < high
    assert (drawer("zeros", 0)[name] == low).all()


def test_floats_that_only_look_something_up_are_whole() -> None:
    text = (
        f"g (float[30] x) => (float[30,2] y) {TABLE} {{ i = Cast <to = 7> (x)  y = Gather(T, i) }}"
    )
    found = domains(Subject(model(text), inputs=["y"]).linearizer().graph)["x"]
    assert (found.low, found.high, found.whole) == (0, 5, True)


def test_what_is_compared_with_constants_is_one_of_them() -> None:
    text = ("g (float[2] x, int64 sr) => (float[2] y) <int64 k = {16000}> "
            "{ c = Equal(sr, k)  n = Neg(x)  y = Where(c, x, n) }")  # fmt: skip
    assert drawn(text)["sr"] == 16000


def test_bools_and_strings() -> None:
    text = "g (float[9] x, bool[9] c) => (float[9] y) { n = Neg(x)  y = Where(c, x, n) }"
    x = drawn(text)
    assert set(x["c"].tolist()) == {True, False}
    proto = model("g (string[9] s, float[9] x) => (float[9] y) { y = Neg(x) }")
    assert set(Drawer(Subject(proto))("normal", 0)["s"].tolist()) == {"a"}
    text = (
        '<ir_version: 8, opset_import: ["": 18, "ai.onnx.ml": 2]> g (string[9] s, float[9] x) => '
        "(float[9] y) { k = ai.onnx.ml.LabelEncoder <keys_strings = ["
        '"red", "blue"], values_floats = [1.0, 2.0]> (s)  y = Mul(k, x) }'
    )
    found = Drawer(Subject(onnx.parser.parse_model(text)))("normal", 0)["s"]
    assert set(found.tolist()) == {"red", "blue"}


def test_what_nobody_can_tell_is_refused() -> None:
    text = "g (float[4] x, int64[2] shape) => (float[a,b] y) { [reshape] y = Reshape(x, shape) }"
    with pytest.raises(onnxlin.OptionError) as refused:
        drawn(text)
    for words in ("Input 'shape' (int64[2]) holds no floats", "input 1 of Reshape 'reshape'",
                  "--input with an .npz"):  # fmt: skip
        assert words in str(refused.value)
    text = "g (seq(float[2]) s, float[2] x) => (float[2] y) { y = Neg(x) }"
    with pytest.raises(onnxlin.OptionError, match="is no tensor but a sequence"):
        drawn(text)
    with pytest.raises(onnxlin.OptionError, match="kind='odd'; expected one of"):
        Drawer(Subject(mlp()))("odd", 0)


@pytest.mark.parametrize(
    ("told", "shape", "low", "high"),
    [
        ('{"scale": 2, "mean": 5}', "1,1,3,3", -5, 505),
        ('{"scale": 1, "mean": [0, 1, 2], "std": [1, 1, -1]}', "1,3,4,4",
         [0, -1, -253], [255, 254, 2]),
        ('{"scale": 1, "mean": [0, 1, 2]}', "1,4,4,4", 0, 253),
    ],
)  # fmt: skip
def test_pictures_have_the_range_of_their_preprocessing(told, shape, low, high) -> None:
    proto = model(f"g (float[{shape}] x) => (float[{shape}] y) {{ y = Relu(x) }}")
    proto.metadata_props.add(key="preprocessing", value=told)
    found = domains(Subject(proto).linearizer().graph)["x"]
    assert np.ravel(found.low).tolist() == np.ravel(low).tolist()
    assert np.ravel(found.high).tolist() == np.ravel(high).tolist()
    x = Drawer(Subject(proto))("range", 0)["x"]
    assert ((x >= found.low) & (x <= found.high)).all()


def test_every_shipped_model_can_be_drawn_for(fixtures: Path) -> None:
    for path in [*fixtures.glob("odd/*.onnx"), fixtures / "lenet5_mnist.onnx"]:
        subject = Subject(path)
        for one in instances(subject):
            subject.linearizer().run(one.feeds)


def test_inputs_that_numpy_has_no_type_for_are_refused():
    """And those that would take more memory than a stranger's file may ask for."""
    text = "g (float8e4m3fn[2] x) => (float[2] y) { y = Cast<to=1>(x) }"
    with pytest.raises(onnxlin.OptionError, match=r"'x' .* is of a type that cannot be drawn"):
        Drawer(Subject(model(text, opset=19)))
    long = model("g (float[3000000000] x) => (float y) { y = ReduceSum<keepdims=0>(x) }")
    with pytest.raises(onnxlin.LimitError, match=r"An input of shape \(3000000000,\) is asked for"):
        Drawer(Subject(long))
