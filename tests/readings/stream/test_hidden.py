"""The map from every hidden tensor with places of a picture is the model, too."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import OptionError, ResidualError, Verdict
from onnxlin.readings import HiddenMap, between, contributions, hidden_maps
from onnxlin.readings.stream.grids import channels_last
from onnxlin.readings.stream.hidden import repeated
from tests.readings.nets import NETS, bias_free, filled, given
from tests.small import X, mlp

MODES = ("tangent", "frozen")
ROWS = [7, 1]


def fire() -> onnx.ModelProto:
    """Squeeze, two convolutions beside each other, concatenated; a gate; pooled at the end."""
    return filled(
        "g (float[1,2,8,6] x) => (float[1,3] y) "
        "<int64[2] flat = {1, 3}, float[4,2,1,1] s, float[4] sb, float[5,4,1,1] e, float[5] eb, "
        "float[5,4,3,3] f, float[5] fb, float[3,10,1,1] k, float[3] kb> { "
        "a = Conv(x, s, sb) r = Relu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) "
        "l = Conv(p, e, eb) q = Conv<pads=[1,1,1,1]>(p, f, fb) c = Concat<axis=1>(l, q) "
        "z = Sigmoid(c) t = Mul(c, z) o = Conv(t, k, kb) m = GlobalAveragePool(o) "
        "y = Reshape(m, flat) }",
        s=(4, 2, 1, 1), sb=(4,), e=(5, 4, 1, 1), eb=(5,), f=(5, 4, 3, 3), fb=(5,),
        k=(3, 10, 1, 1), kb=(3,),
    )  # fmt: skip


def turned() -> onnx.ModelProto:
    """A picture with its channels last, as Keras has it, and so once more behind a convolution."""
    return filled(
        "g (float[1,6,8,2] x) => (float[1,3] y) "
        "<int64[2] flat = {1, 192}, float[4,2,3,3] k, float[4] b, float[192,3] w> { "
        "f = Transpose<perm=[0,3,1,2]>(x) c = Conv<pads=[1,1,1,1]>(f, k, b) r = Relu(c) "
        "t = Transpose<perm=[0,2,3,1]>(r) u = Tanh(t) v = Reshape(u, flat) y = MatMul(v, w) }",
        k=(4, 2, 3, 3), b=(4,), w=(192, 3),
    )  # fmt: skip


@cache
def made(name: str, mode: str) -> tuple[onnxlin.Linearizer, np.ndarray, list[int]]:
    if name in NETS:
        path, x = given(name)
        return onnxlin.Linearizer(path, mode=mode), x, ROWS
    shape = {"fire": (1, 2, 8, 6), "turned": (1, 6, 8, 2), "bias_free": (1, 1, 8, 8)}[name]
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    own = {"fire": fire, "turned": turned, "bias_free": bias_free}[name]
    return onnxlin.Linearizer(own(), mode=mode), x, [2, 0]


@cache
def of(name: str, mode: str) -> tuple[onnxlin.AffineMap, tuple[HiddenMap, ...]]:
    lin, x, rows = made(name, mode)
    m = lin(x, rows=rows)
    return m, hidden_maps(m)


every = pytest.mark.parametrize("name", [*NETS, "fire", "turned", "bias_free"])
both = pytest.mark.parametrize("mode", MODES)


@every
@both
def test_every_tensor_is_the_model(name: str, mode: str) -> None:
    m, found = of(name, mode)
    assert len(found) > 2
    for one in found:
        assert one.values.shape == (len(m.rows), *one.grid)
        assert (one.error <= one.error_bound).all()
        assert set(one.verdicts) == {Verdict.PASS}
        np.testing.assert_array_equal(one.y, m.own_y)
        assert (np.abs(m.y - (one.Wh + one.rest)) <= one.error_bound).all()


@every
@both
def test_the_first_is_what_pixels_bring(name: str, mode: str) -> None:
    m, found = of(name, mode)
    own, first = contributions(m), found[0]
    assert first.tensor in m.inputs
    (shape,) = (value.shape for value in m.inputs.values())
    axis = 4 if name == "turned" else 2
    pixels = own.values.reshape(len(m.rows), *shape).sum(axis=axis)[:, 0]
    np.testing.assert_allclose(first.values, pixels, rtol=1e-9, atol=1e-12)
    # Two orders of the same sum of float64.
    np.testing.assert_allclose(first.rest, m.b, rtol=1e-9, atol=1e-9)


@every
@both
def test_each_is_the_map_that_starts_there(name: str, mode: str) -> None:
    lin, x, rows = made(name, mode)
    _, found = of(name, mode)
    for one in found[1 :: max(1, len(found) // 3)]:
        own = between(lin, x, start=one.tensor, rows=rows)
        (h,) = (value.shape for value in own.inputs.values())
        (axis,) = [i for i in (1, 3) if h[i] == one.channels and h[0] == 1][:1]
        each = (own.W.astype(np.float64) * own.x).reshape(len(rows), *h).sum(axis=axis + 1)[:, 0]
        # Each keeps to F(x) within its bound; between them lie two such bounds.
        slack = (own.bound * own.scale + one.error_bound)[:, None, None]
        assert (np.abs(one.values - each) <= slack).all()
        assert (np.abs(one.rest - own.b) <= slack[:, 0, 0]).all()


def test_pooled_maps_agree() -> None:
    """A pool moves W_h h about within its windows, a ReLU has no bias: sums stay."""
    _, found = of("lenet5_mnist", "tangent")
    by_name = {one.tensor: one for one in found}
    relu, pooled = by_name["/4/Relu_output_0"], by_name["/5/MaxPool_output_0"]
    windows = relu.values.reshape(len(ROWS), 5, 2, 5, 2).sum(axis=(2, 4))
    np.testing.assert_allclose(windows, pooled.values, rtol=1e-9, atol=1e-9)
    conv = by_name["/3/Conv_output_0"]
    np.testing.assert_allclose(conv.values, relu.values, rtol=1e-9, atol=1e-9)


def test_what_last_and_names_mean() -> None:
    tensors = {}
    for name in ("lenet5_mnist", "resnet_fashion", "densenet_fashion", "fire", "turned"):
        m, _ = of(name, "tangent")
        (one,) = hidden_maps(m, tensors="last")
        tensors[name] = one.tensor, one.grid
    assert tensors == {
        "lenet5_mnist": ("/4/Relu_output_0", (10, 10)),  # not the pool behind it
        "resnet_fashion": ("relu_8", (4, 4)),
        "densenet_fashion": ("relu_9", (7, 7)),
        "fire": ("o", (4, 3)),
        "turned": ("u", (6, 8)),
    }
    m, found = of("fire", "tangent")
    assert [one.tensor for one in found] == ["x", "a", "r", "p", "c", "t", "o"]
    two = hidden_maps(m, [[1, -1]], ["t", "r"])
    assert [one.tensor for one in two] == ["r", "t"]
    plain = {one.tensor: one for one in found}
    for one in two:
        apart = plain[one.tensor].values[0] - plain[one.tensor].values[1]
        np.testing.assert_allclose(one.values[0], apart, rtol=1e-6, atol=1e-6)


def test_channels_last_are_told_by_transpositions() -> None:
    m, found = of("turned", "tangent")
    assert channels_last(m.made_from("test").program) == {"x", "t", "u"}
    assert [(one.tensor, one.grid, one.channels) for one in found] == [
        ("x", (6, 8), 2), ("f", (6, 8), 2), ("c", (6, 8), 4), ("r", (6, 8), 4), ("t", (6, 8), 4),
        ("u", (6, 8), 4),
    ]  # fmt: skip
    c, t = found[3], found[4]
    np.testing.assert_allclose(c.values, t.values, rtol=1e-12)


def test_one_channel_or_one_place_is_no_other_layout() -> None:
    """There transpositions are reshapes, as axes of 1 alone change places with others."""
    net = filled(
        "g (float[1,6,8,1] x) => (float[1,2] y) "
        "<int64[2] flat = {1, 3}, float[3,1,3,3] k, float[3] b, float[3,2] w> { "
        "f = Transpose<perm=[0,3,1,2]>(x) c = Conv(f, k, b) r = Relu(c) "
        "p = GlobalAveragePool(r) t = Transpose<perm=[0,2,3,1]>(p) u = Tanh(t) "
        "v = Reshape(u, flat) y = MatMul(v, w) }",
        k=(3, 1, 3, 3), b=(3,), w=(3, 2),
    )  # fmt: skip
    x = np.random.default_rng(1).normal(size=(1, 6, 8, 1)).astype(np.float32)
    found = hidden_maps(onnxlin.linearize(net, x))
    assert [(one.tensor, one.grid, one.channels) for one in found] == [
        ("x", (6, 8), 1), ("f", (6, 8), 1), ("c", (4, 6), 3), ("r", (4, 6), 3),
    ]  # fmt: skip
    np.testing.assert_array_equal(found[0].values.shape, (2, 6, 8))


def test_infinite_padding_that_no_pool_takes_brings_nothing() -> None:
    net = filled(
        "g (float[1,1,4,4] x) => (float[1,2] y) "
        "<int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}, int64[2] flat = {1, 18}, "
        "float[2,1,1,1] k, float[2] b, float[18,2] w, float low = {0}> { "
        "c = Conv(x, k, b) p = Pad(c, pads, low) "
        "m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(p) "
        "v = Reshape(m, flat) y = MatMul(v, w) }",
        k=(2, 1, 1, 1), b=(2,), w=(18, 2),
    )  # fmt: skip
    for held in net.graph.initializer:
        if held.name == "low":
            held.CopyFrom(onnx.numpy_helper.from_array(np.float32(-np.inf), "low"))
    x = np.random.default_rng(1).normal(size=(1, 1, 4, 4)).astype(np.float32)
    found = {one.tensor: one for one in hidden_maps(onnxlin.linearize(net, x))}
    assert {"c", "p", "m"} <= set(found)
    for one in found.values():
        assert np.isfinite(one.values).all()
        assert (one.error <= one.error_bound).all()


def test_a_compiled_map_says_the_same() -> None:
    lin, x, rows = made("fire", "frozen")
    _, found = of("fire", "frozen")
    for one, other in zip(hidden_maps(lin(x, rows=rows, engine="compiled")), found, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ("l", "'l' can't be cut at: some path .* Ask for 'last', 'all' or any of"),
        ("m", "'m' has shape"),
        ("y", "is the output itself"),
        ("nothing", "is no tensor between"),
    ],
)
def test_what_cannot_be_asked(asked: str, match: str) -> None:
    m, _ = of("fire", "tangent")
    with pytest.raises(OptionError, match=match):
        hidden_maps(m, tensors=asked)


@pytest.mark.parametrize("asked", ["last", "all", None])
def test_a_net_without_places(asked: str | None) -> None:
    with pytest.raises(OptionError, match="no hidden tensor with places of a picture"):
        hidden_maps(onnxlin.linearize(mlp(), X), tensors=asked)


def test_a_map_that_is_not_the_model_is_told() -> None:
    _, x, rows = made("fire", "tangent")
    m = onnxlin.linearize(fire(), x, rows=rows, engine="reverse")
    m.outputs["y"] = m.outputs["y"] + 1
    with pytest.raises(ResidualError, match=r"W_h h \+ b_h at 'o'"):
        hidden_maps(m, tensors="last")


def test_over_repeats_by_nearest() -> None:
    values = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(repeated(values, 4, 6)[0], np.kron(values[0], np.ones((2, 2))))
    assert repeated(values, 5, 7).shape == (1, 5, 7)
    assert set(repeated(values, 5, 7).ravel()) == set(range(6))
    with pytest.raises(OptionError, match="finer than a picture"):
        repeated(values, 1, 3)
