"""The map of a weighted set of models is the weighted sum of their maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import onnxlin
from onnxlin import AffineMap, Linearizer, linearize
from onnxlin.engines.plan import ENGINES
from onnxlin.program.rates import gamma
from onnxlin.readings import Ensemble, Region, group
from onnxlin.rules.smooth import ROUNDINGS
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close, sums
from tests.small import X, mlp, model
from tests.twin import by_hand

MODES = ("tangent", "frozen")
# Of one operator set, so that onnx.compose can join them; one has batch norm, one pools.
MERGED = ("lenet5_mnist", "cnn_bn_mnist", "mlp2_mnist")
WEIGHTS = (0.5, -1.25, 2.0)


@given(onnx_models(), st.sampled_from(MODES))
def test_the_ensemble_of_one_model_is_the_model(grown: GrownModel, mode: str) -> None:
    """To the last bit: W, b and its shares, F, ties and all."""
    m = linearize(grown.model, grown.x, mode=mode, dtype=np.float64)
    one = Ensemble([(1, grown.model)], mode=mode)(grown.x, dtype=np.float64).verify()
    for ours, theirs in ((one.W, m.W), (one.b, m.b), (one.y, m.y), (one.x, m.x)):
        np.testing.assert_array_equal(ours, theirs)
    assert list(one.shapes) == list(m.shapes)
    assert named(one.bias_by_node) == named(m.bias_by_node, "0/")
    assert named(one.near_kinks()) == named(m.near_kinks(), "0/")


def named(found: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The entries in order; of nodes that have no name of their own only the operator."""
    made = [(name.partition(":")[0] if ":" in name else prefix + name) for name in found]
    return [(name, np.asarray(v).tolist()) for name, v in zip(made, found.values(), strict=True)]


@given(onnx_models(), st.sampled_from(MODES), st.floats(-2, 2, width=16))
def test_it_is_linear_in_the_weights(grown: GrownModel, mode: str, weight: float) -> None:
    m = linearize(grown.model, grown.x, mode=mode, dtype=np.float64)
    pair = Ensemble([(weight, grown.model), (0.25, grown.model)], mode=mode)
    both = pair(grown.x, dtype=np.float64).verify()
    slack = 4 * np.finfo(np.float64).eps * np.abs(m.W) * (abs(weight) + 0.25)
    assert (np.abs(both.W - (weight + 0.25) * m.W) <= slack).all()
    want = [weight * share for share in m.bias_by_node.values()]
    want += [0.25 * share for share in m.bias_by_node.values()]
    np.testing.assert_array_equal(list(both.bias_by_node.values()), want)


@given(onnx_models(max_nodes=5), st.sampled_from(MODES))
def test_engines_agree_on_the_joined_program(grown: GrownModel, mode: str) -> None:
    """The joined program is a program like any other: each engine gives the sum of the maps."""
    pair = Ensemble([(-0.5, grown.model), (2, grown.model)], mode=mode)
    m = pair(grown.x, dtype=np.float64)
    job = m.made_from("a test").job
    slack, hand = 2 * m.composition_bound * m.scale, by_hand(m)
    for engine in ("explicit", "reverse", "forward", "live", "cut"):
        found = ENGINES[engine](job)
        assert_close(found.W, m.W, hand.slack)
        assert (np.abs(sum(found.bias.values()) - m.b) <= slack).all()


def joined(paths: list[Path], weights: tuple[float, ...], end: str | None = None) -> Any:
    """The members as one graph by onnx.compose: a fan before them, a weighted sum behind."""
    info = helper.make_tensor_value_info
    float32, shape = onnx.TensorProto.FLOAT, (1, 1, 28, 28)
    names = [f"m{i}/" for i in range(len(paths))]
    fan = helper.make_graph(
        [helper.make_node("Identity", ["image"], [f"{n}image"]) for n in names],
        "fan",
        [info("image", float32, shape)],
        [info(f"{n}image", float32, shape) for n in names],
    )
    opsets = [helper.make_opsetid("", 17)]
    whole = helper.make_model(fan, opset_imports=opsets, ir_version=8)
    for path, name in zip(paths, names, strict=True):
        member = onnx.compose.add_prefix(onnx.load(path), name)
        member.ir_version = 8
        pair = [(f"{name}image", f"{name}image")]
        rest = [o.name for o in whole.graph.output if o.name != f"{name}image"]
        given = [f"copy/{name}image"]
        member.graph.input[0].name = given[0]
        for node in member.graph.node:
            node.input[:] = [given[0] if i == f"{name}image" else i for i in node.input]
        pair = [(f"{name}image", given[0])]
        whole = onnx.compose.merge_models(whole, member, pair, outputs=[*rest, f"{name}logits"])
    graph, parts = whole.graph, []
    del graph.output[:]
    for name, weight in zip(names, weights, strict=True):
        last = f"{name}logits"
        if end:
            graph.node.append(helper.make_node(end, [last], [f"{name}p"]))
            last = f"{name}p"
        graph.initializer.append(onnx.numpy_helper.from_array(np.float32(weight), f"{name}w"))
        graph.node.append(helper.make_node("Mul", [last, f"{name}w"], [f"{name}part"]))
        parts.append(f"{name}part")
    graph.node.append(helper.make_node("Sum", parts, ["y"], "sum"))
    graph.output.append(info("y", float32, (1, 10)))
    return whole


@pytest.mark.parametrize("end", [None, "Softmax", "Sigmoid"])
@pytest.mark.parametrize("mode", MODES)
def test_the_merged_graph_has_the_same_map(fixtures: Path, mode: str, end: str | None) -> None:
    paths = [fixtures / f"{name}.onnx" for name in MERGED]
    image = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    link = end and end.lower()
    ours = Ensemble(list(zip(WEIGHTS, paths, strict=True)), probabilities=link, mode=mode)
    one = ours(image, dtype=np.float64).verify()
    two = linearize(joined(paths, WEIGHTS, end), image, mode=mode, dtype=np.float64).verify()
    assert_same(one, two)
    # Frozen, what a softmax or a sigmoid at the end makes is held: all of it is b.
    assert bool(one.W.any()) == (end is None or mode == "tangent")


def assert_same(one: AffineMap, two: AffineMap) -> None:
    """Equal to within what rounding may do to each of both."""
    rounding = one.bound * one.scale + two.bound * two.scale
    assert (np.abs(one.y - two.y) <= rounding).all()
    composing = one.composition_bound * one.scale + two.composition_bound * two.scale
    assert (np.abs(one.b - two.b) <= composing).all()
    x = np.random.default_rng(1).normal(size=one.x.size)
    size = np.abs(x).max() / np.abs(one.x[one.x != 0]).min()
    assert (np.abs(one.W @ x - two.W @ x) <= composing * size).all()


@pytest.mark.parametrize("link", [None, "softmax"])
def test_compiled_members_give_the_same_map(fixtures: Path, link: str | None) -> None:
    """Their run is not the traced one and rounds differently: each is held to its own."""
    pairs = [(w, fixtures / f"{name}.onnx") for w, name in zip(WEIGHTS, MERGED, strict=True)]
    image = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    whole = Ensemble(pairs, probabilities=link)
    one, two = (whole(image, engine=engine).verify() for engine in ("compiled", "reverse"))
    assert one.engine == "compiled"
    assert_same(one, two)


def test_probabilities_are_averaged_and_not_logits(fixtures: Path) -> None:
    paths = [fixtures / f"{name}.onnx" for name in MERGED]
    image = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    pair = [(1 / 3, path) for path in paths]
    mean = Ensemble(pair, probabilities="softmax").run(image)["logits"]
    assert mean.sum() == pytest.approx(1)
    logits = [Linearizer(path).run(image)["logits"].astype(np.float64) for path in paths]
    each = [np.exp(z) / np.exp(z).sum() for z in logits]
    # Softmax in float32: z less the largest, the exponential, their sum, the quotient, the mean.
    each_exp = max(np.ptp(z) for z in logits) + ROUNDINGS
    roundings = 2 * each_exp + logits[0].size + 8
    allowed = gamma(roundings, np.finfo(np.float32).eps / 2) * np.mean(each, axis=0)
    assert_close(mean, np.mean(each, axis=0), allowed)


def test_several_inputs_outputs_and_rows(fixtures: Path) -> None:
    path = fixtures / "odd" / "two_in_two_out.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    m = linearize(path, x, dtype=np.float64)
    pair = Ensemble([(2, path), (-1, Linearizer(path))])
    for rows in (None, [0, -1], np.ones((1, len(m.y)))):
        one = linearize(path, x, rows=rows, dtype=np.float64)
        both = pair(x, rows, dtype=np.float64).verify()
        assert_close(both.W, one.W, sums(2, 3 * np.abs(one.W)))
        assert (list(both.inputs), list(both.outputs)) == (list(m.inputs), list(m.outputs))
        assert len(both.layers) == 2 * len(m.layers) + 2 * len(m.inputs) + len(m.outputs)
    (mapped,) = pair.map({name: value[None] for name, value in x.items()})
    np.testing.assert_array_equal(mapped.y, pair(x).y)


def test_members_may_name_their_one_input_as_they_like() -> None:
    other = model("g (float[1,3] z) => (float[1,2] w) <float[3,2] A = {1,2,3,4,5,6}> {"
                  " [last] w = MatMul(z, A) }")  # fmt: skip
    pair = Ensemble([(1, mlp()), (1, other)])
    m = pair({"x": X}).verify()
    np.testing.assert_array_equal(m.W, pair(X).W)
    want = linearize(mlp(), X).W + linearize(other, X).W
    np.testing.assert_allclose(m.W, want, rtol=1e-6)
    assert set(m.bias_by_node) == {"0/first"}


def test_a_member_that_does_not_depend_on_x_goes_into_b() -> None:
    text = "g (float[1,3] x) => (float[1,2] y) <float[1,2] c = {3, 4}> { y = Identity(c) }"
    m = Ensemble([(1, mlp()), (0.5, model(text))])(X).verify()
    np.testing.assert_array_equal(m.W, linearize(mlp(), X).W)
    assert m.bias_by_node["1/y"].tolist() == [1.5, 2.0]
    for engine in ("explicit", "reverse", "forward", "live", "cut"):
        assert ENGINES[engine](m.made_from("a test").job).bias["1/y"].tolist() == [1.5, 2.0]


def test_inputs_that_are_not_linearised_are_held_for_all() -> None:
    """Indices, and a float input that is left out."""
    text = """g (float[1,3] x, float[1,3] k, int64[1] i) => (float[1,3] y) {
        s = Add(x, k)  [turn] t = Mul(s, k)  g = Gather <axis = 1> (t, i)  y = Sub(t, g) }"""
    x = {"x": X, "k": X + 1, "i": np.array([2])}
    lin = Linearizer(model(text), inputs="x")
    one = lin(x, dtype=np.float64)
    pair = Ensemble([(2, lin), (-0.5, lin)])(x, dtype=np.float64).verify()
    assert_close(pair.W, 1.5 * one.W, sums(2, 2.5 * np.abs(one.W)))
    shares = np.abs(list(one.bias_by_node.values()))
    assert_close(pair.b, 1.5 * one.b, sums(2 * len(shares), 2.5 * shares.sum(axis=0)))
    assert list(pair.inputs) == ["x"]


def test_wrong_inputs_are_named_as_the_caller_knows_them() -> None:
    pair = Ensemble([(1, mlp()), (1, mlp())])
    with pytest.raises(onnxlin.InputError, match=r"Input 'x' has shape \(4,\)"):
        pair(np.ones(4))
    with pytest.raises(onnxlin.InputError, match=r"names \['z'\] unknown and lacks no"):
        pair({"x": X, "z": X})


def test_patterns_of_an_ensemble_are_those_of_all_members() -> None:
    """One member has its kink at 0, the other at 1: three regions on a line."""
    one = model("g (float[1,1] x) => (float[1,1] y) { [act] y = Relu(x) }")
    two = model("g (float[1,1] x) => (float[1,1] y) <float k = {1}> {"
                " [shift] s = Sub(x, k)  [act] y = Relu(s) }")  # fmt: skip
    xs = np.array([[-1], [0.5], [0.75], [2]], np.float32)
    found = group(Ensemble([(1, one), (-1, two)]), xs)
    assert found.member.tolist() == [1, 0, 0, 2]
    assert [m.W.item() for m in found.models] == [1, 0, 0]
    assert [m.b.item() for m in found.models] == [0, 0, 1]


def test_a_wrong_sum_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted bug: the last member's map is left out."""
    monkeypatch.setattr(Ensemble, "_solution", lambda self, maps: maps[0]._solution)
    with pytest.raises(onnxlin.ResidualError):
        Ensemble([(1, mlp()), (-0.5, mlp())])(X).verify()


OTHER_SHAPE = "g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }"
OTHER_NAME = "g (float[1,3] a, float[1,3] b) => (float[1,3] y) { y = Add(a, b) }"


def slashed() -> onnx.ModelProto:
    """A model whose input has a name that a tensor of a member could have."""
    proto = mlp()
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "0/x"
    return proto


REFUSED = {
    "a name like a member's": (
        lambda: Ensemble([(1, slashed())]),
        r"Inputs or outputs are named \['0/x'\]; names that begin with a number and a slash",
    ),
    "nobody": (lambda: Ensemble([]), "An ensemble needs at least one member"),
    "unknown link": (
        lambda: Ensemble([(1, mlp())], probabilities="probit"),
        r"probabilities='probit'; expected one of \['softmax', 'sigmoid'\]",
    ),
    "infinite weight": (
        lambda: Ensemble([(float("inf"), mlp())]),
        r"weights=\[inf\]; expected finite numbers",
    ),
    "two modes": (
        lambda: Ensemble([(1, mlp()), (1, Linearizer(mlp(), mode="frozen"))]),
        r"several readings \(mode, rounding\): \[\('frozen', 'staircase'\), \('tangent'",
    ),
    "other inputs": (
        lambda: Ensemble([(1, mlp()), (1, model(OTHER_NAME))]),
        r"Member 1 does not share the inputs of member 0: it takes \{'a': float32\[1x3\], 'b'.*"
        r"member 0 \{'x': float32\[1x3\]\} and is linearised in \['x'\]",
    ),
    "inner inputs": (
        lambda: Ensemble([(1, Linearizer(mlp(), inputs="h"))]),
        r"linearised in \['h'\].*must be the same",
    ),
    "other outputs": (
        lambda: Ensemble([(1, mlp()), (1, model(OTHER_SHAPE))])(X),
        r"Member 1 has outputs of shapes \[\(1, 3\)\], member 0 \[\(1, 2\)\]",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_members_that_do_not_fit_are_refused(call: Any, message: str) -> None:
    with pytest.raises(onnxlin.OptionError, match=message):
        call()


def test_the_region_of_an_ensemble_is_where_all_its_members_hold() -> None:
    """A step along a direction ends at the first kink of any member."""
    nets = [mlp(), mlp()]
    for tensor in nets[1].graph.initializer:  # another net: its kinks lie elsewhere
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array[::-1].copy(), tensor.name))
    joined = Ensemble([(0.5, net) for net in nets])(X, dtype=np.float64)
    direction = np.array([0.3, -1.0, 0.7])
    alone = [Region(linearize(net, X, dtype=np.float64)).step(direction) for net in nets]
    step = Region(joined).step(direction)
    assert step.step == pytest.approx(min(exit.step for exit in alone))
    assert len({exit.step for exit in alone}) == 2
