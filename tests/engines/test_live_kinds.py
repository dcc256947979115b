"""Convolutions of every kind by live entries: the very map that the reverse sweep makes.

All weights and images are small whole numbers, so that nothing is rounded in either precision.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import onnxlin
from onnxlin.engines.live.fold import by_channel
from onnxlin.engines.live.grouped import Groups
from onnxlin.engines.live.lines import Blocks
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.plan import Plan
from onnxlin.engines.live.pulls import Dense, Sparse
from onnxlin.engines.live.windows import Windows, windows
from onnxlin.primitives import Chain, Conv, Diagonal, Reshape
from tests.small import model


def _net(channels, space, kind, weight, rng, **attributes) -> onnx.ModelProto:
    """Between a convolution of single entries, whose units may be off, and all outputs."""
    weights = {
        "mix": rng.integers(-2, 3, (channels, 2, *[1] * len(space))),
        "a": rng.integers(-2, 3, channels),
        "w": weight,
        "b": rng.integers(-2, 3, weight.shape[0 if kind == "Conv" else 1] * (
            1 if kind == "Conv" else attributes["group"])),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "mix", "a"], ["h"], name="mix"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node(kind, ["r", "w", "b"], ["c"], name="kind", **attributes),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", 1, [1, 2, *space])],
        [helper.make_tensor_value_info("y", 1, None)],
        [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _assert_as_reverse(made: onnx.ModelProto, x: np.ndarray, dtype: type, rows: int) -> list[type]:
    """Compare W and the bias shares; return what kinds of pulls there were."""
    lin = onnxlin.Linearizer(made)
    rows = list(range(0, lin(x).W.shape[0], rows))
    live, plain = (lin(x, rows=rows, engine=e, dtype=dtype) for e in ("live", "reverse"))
    np.testing.assert_array_equal(live.W, plain.W)
    assert live.bias_by_node.keys() <= plain.bias_by_node.keys()
    for name, share in plain.bias_by_node.items():
        # Where nothing is live of a node, it has no share.
        np.testing.assert_array_equal(live.bias_by_node.get(name, np.zeros_like(share)), share)
    job = live.made_from("a test").job
    steps = [step for _, terms in Plan(job.program, job.seeds).pulls for _, step in terms]
    assert all(0 <= step.seconds(2) <= step.seconds(200) for step in steps)
    return [type(step) for step in steps]


@given(st.data(), st.sampled_from(["Conv", "ConvTranspose"]), st.sampled_from([1, 2, 4]))
def test_convolutions_of_all_kinds(data: st.DataObject, kind: str, group: int) -> None:
    rank, dtype = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([np.float32, np.float64]))
    numbers = lambda low, high: [data.draw(st.integers(low, high)) for _ in range(rank)]
    kernel, strides, dilations, begin = numbers(1, 3), numbers(1, 3), numbers(1, 2), numbers(0, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    space = [r + n for r, n in zip(reach, numbers(1, 4 if rank < 3 else 2), strict=True)]
    if kind == "ConvTranspose":  # pads cut off what it makes, of which something must be left
        ends = zip(space, strides, reach, begin, strict=True)
        begin = [min(pad, ((n - 1) * s + r - 1) // 2) for n, s, r, pad in ends]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    each, other = group * data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    sides = (other * group, each // group) if kind == "Conv" else (each, other)
    weight = rng.integers(-2, 3, (*sides, *kernel))
    made = _net(each, space, kind, weight, rng, group=group, strides=strides,
                dilations=dilations, pads=begin * 2)  # fmt: skip
    x = rng.integers(-2, 3, (1, 2, *space)).astype(np.float32)
    kinds = _assert_as_reverse(made, x, dtype, data.draw(st.integers(1, 4)))
    assert Dense not in kinds


@pytest.mark.parametrize(
    ("group", "each", "kind"), [(1, 8, Windows), (4, 4, Groups), (8, 1, Sparse)]
)
def test_what_groups_become(group: int, each: int, kind: type) -> None:
    """Products where a group has many channels, else a sparse matrix."""
    rng = np.random.default_rng(group)
    channels = group * each
    weight = rng.integers(-2, 3, (channels, each, 3, 3))
    made = _net(channels, (5, 6), "Conv", weight, rng, group=group, pads=[1] * 4)
    x = rng.integers(-2, 3, (1, 2, 5, 6)).astype(np.float32)
    assert kind in _assert_as_reverse(made, x, np.float64, 3)


def test_what_is_added_to_itself_and_to_others() -> None:
    """Cotangents that are several tensors' are not written to while another needs them."""
    text = (
        "g (float[4] x) => (float[4] y, float[4] t) { h = Relu(x)  s = Add(h, h)  "
        "n = Neg(h)  t = Add(s, n)  u = Add(t, h)  v = Add(u, t)  y = Add(v, v) }"
    )
    x = np.array([1, -1, 2, -2], np.float32)
    _assert_as_reverse(model(text), x, np.float32, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("slope", [0, 2])
def test_a_tensor_that_others_read_takes_products_through_norms_and_masks(slope, dtype) -> None:
    """As in a DenseNet, with its bias in the ledger of its own node; not through leaky ones."""
    rng = np.random.default_rng(3)
    act = f"LeakyRelu<alpha={slope}.0>" if slope else "Relu"
    made = model(
        "g (float[1,2,4,5] x) => (float[1,7,4,5] y) <float[3,1,1] t, float[3,1,1] u,"
        " float[4,3,3,3] w, float[4] c, float[3,2,1,1] v> { h = Conv(x, v)  n = Mul(h, t)"
        f"  [norm] m = Add(n, u)  [act] r = {act}(m)"
        "  k = Conv<pads=[1,1,1,1]>(r, w, c)  y = Concat<axis=1>(h, k) }"
    )
    for name, shape in (("t", (3, 1, 1)), ("u", (3, 1, 1)), ("w", (4, 3, 3, 3)), ("c", 4),
                        ("v", (3, 2, 1, 1))):  # fmt: skip
        array = rng.choice([-2, -1, 1, 2], shape).astype(np.float32)
        made.graph.initializer.append(numpy_helper.from_array(array, name))
    x = rng.integers(-2, 3, (1, 2, 4, 5)).astype(np.float32)
    kinds = _assert_as_reverse(made, x, dtype, 3)
    assert Windows in kinds
    assert Dense not in kinds
    job = onnxlin.linearize(made, x, engine="live").made_from("a test").job
    chains = [op for link in Plan(job.program, job.seeds).chain for _, op in link.terms]
    assert any(isinstance(op, Chain) for op in chains) == (not slope)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_lines_and_of_batches(dtype) -> None:
    """Dense layers of tokens, batches of matrices on either side, and attention at x."""
    made = model(
        "g (float[1,2,3,4] x) => (float y) <float[4,5] w, float[2,5,4] m, float[2,3,3] l,"
        " float[5] a> { d = MatMul(x, w)  e = Add(d, a)  r = Relu(e)  p = MatMul(r, m)"
        "  q = MatMul(l, p)  u = Relu(q)  t = Transpose<perm=[0,1,3,2]>(p)"
        "  s = MatMul(u, t)  y = MatMul(s, p) }"
    )
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, [1, 2, 3, 4]))
    rng = np.random.default_rng(5)
    for name, shape in (("w", (4, 5)), ("m", (2, 5, 4)), ("l", (2, 3, 3)), ("a", 5)):
        array = rng.integers(-1, 2, shape).astype(np.float32)
        made.graph.initializer.append(numpy_helper.from_array(array, name))
    x = rng.integers(-1, 2, (1, 2, 3, 4)).astype(np.float32)
    assert Blocks in _assert_as_reverse(made, x, dtype, 1)


def test_tokens_share_their_matrix() -> None:
    """A copy for each would be far more than the weights."""
    made = model("g (float[1,50,8] x) => (float[1,50,16] y) <float[8,16] w> { y = MatMul(x, w) }")
    array = np.ones((8, 16), np.float32)
    made.graph.initializer.append(numpy_helper.from_array(array, "w"))
    m = onnxlin.linearize(made, np.ones((1, 50, 8), np.float32), engine="live")
    job = m.made_from("a test").job
    ((_, ((_, step),)),) = [
        pulls for pulls in Plan(job.program, job.seeds).pulls if isinstance(pulls[1][0][1], Blocks)
    ]
    assert isinstance(step, Blocks)
    assert len(step.parts) == 50
    assert step.table_bytes == array.nbytes
    assert step.seconds(4) < step.seconds(400)


@pytest.mark.parametrize(("group", "each"), [(1, 4), (2, 3), (4, 1)])
def test_two_convolutions_add_up_and_a_group_may_be_dead(group: int, each: int) -> None:
    rng = np.random.default_rng(group)
    channels = group * each
    made = model(
        f"g (float[1,2,4,5] x) => (float[1,{channels},4,5] y) <float[{channels},2,1,1] v,"
        f" float[{channels}] c, float[{channels},{each},3,3] w, float[{channels},{each},1,1] u>"
        f" {{ h = Conv(x, v, c)  r = Relu(h)  a = Conv<group={group},pads=[1,1,1,1]>(r, w)"
        f"  b = Conv<group={group}>(r, u)  s = Add(a, b)  y = Relu(s) }}"
    )
    dead = np.where(np.arange(channels) < each * (group > 1), -50, 1)
    for name, array in (
        ("v", rng.integers(-2, 3, (channels, 2, 1, 1))),
        ("c", dead),
        ("w", rng.integers(-2, 3, (channels, each, 3, 3))),
        ("u", rng.integers(-2, 3, (channels, each, 1, 1))),
    ):
        given = numpy_helper.from_array(array.astype(np.float32), name)
        made.graph.initializer.append(given)
    x = rng.integers(-2, 3, (1, 2, 4, 5)).astype(np.float32)
    _assert_as_reverse(made, x, np.float64, 2)


def test_kernels_take_up_one_factor_for_each_channel() -> None:
    """And 0; anything else stays a map of its own."""
    scale = np.array([[2, 0], [0, -1]], np.float32)[None]
    assert by_channel(Diagonal.of((1, 2, 2), scale)).tolist() == [2, -1]
    assert by_channel(Diagonal.of((1, 2, 2), scale + 1)) is None
    assert by_channel(Diagonal.of((1, 2, 0), np.ones((1, 1, 1)))) is None
    conv = Conv.of(
        (1, 2, 2), np.ones((3, 2, 1)), strides=(1,), dilations=(1,), begin=(0,), end=(0,)
    )
    places = [Places.of(np.ones(shape, bool), pixels=True) for shape in ((1, 3, 2), (1, 2, 2))]
    for first in (Reshape((1, 2, 2), (1, 2, 2)), Diagonal.of((1, 2, 2), scale + 1)):
        through = Chain((1, 2, 2), (1, 3, 2), (first, conv))
        assert windows(through, *places, np.dtype(np.float32), 4) is None
