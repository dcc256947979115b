"""b is the sum of what nodes, kinds of nodes and single units bring in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st

from onnxlin import AffineMap, DetachedError, Linearizer, OptionError, ResidualError, linearize
from onnxlin.engines.reverse import needed
from onnxlin.program.rates import gamma
from onnxlin.readings import bias_maps, ledger, spread_bias
from onnxlin.readings.bias.kinds import KINDS, MEANING
from onnxlin.readings.bias.spread import Split
from onnxlin.readings.checks import UNIT, allowed, chosen
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close, assert_same_units, sums
from tests.readings.nets import NETS, given
from tests.small import X, mlp, model

few = settings(max_examples=max(settings().max_examples // 2, 1))


def assert_closes(m: AffineMap, b: np.ndarray, rows: object = None) -> None:
    """W x + what was found equals F(x)."""
    seeds = chosen(m, rows)
    gap = np.abs(seeds.apply(m.Wx) + b - seeds.apply(m.y))
    assert (gap <= 2 * allowed(m, seeds)).all()


@draw(onnx_models(min_nodes=2), st.sampled_from(["tangent", "frozen"]))
def test_nodes_and_kinds_sum_to_b_on_any_graph(grown: GrownModel, mode: str) -> None:
    m = linearize(grown.model, grown.x, mode=mode, dtype=np.float64)
    found = ledger(m)
    assert found.by_node.keys() == m.bias_by_node.keys()
    for node, share in m.bias_by_node.items():
        np.testing.assert_array_equal(found.by_node[node], share)
    total = gamma(2 * len(found.nodes) + 2, UNIT) * np.abs(found.shares).sum(axis=0)
    kinds = sum(found.by_kind.values(), start=np.zeros(len(m.rows)))
    assert (np.abs(kinds - m.b) <= total).all()
    assert set(found.by_kind) <= set(KINDS)


@pytest.mark.parametrize("name", NETS)
def test_a_batch_norm_net_names_its_batch_norms(name: str) -> None:
    path, x = given(name)
    found = ledger(linearize(path, x))
    expected = {"layer bias"}
    if any(part in name for part in ("bn", "resnet", "densenet")):
        expected.add("batch norm")
    assert set(found.by_kind) == expected
    for node, kind in zip(found.nodes, found.kinds, strict=True):
        assert (kind == "batch norm") == ("atch" in node and "orm" in node)


GRAPH = "g (float[2] x) => (float[{n}] y) <{more}> {{ {nodes} }}"
ONE_OF_EACH = {
    "layer bias": ("2", "float[2,2] w = {1,2,3,4}, float[2] c = {5,6}",
                   "h = MatMul(x, w) y = Add(h, c)", [5, 6]),
    "activation offset": ("2", "float low = {2}", "y = Clip(x, low)", [0, 2]),
    "tangent intercept": ("2", "", "y = Mul(x, x)", [-9, -1]),
    "padding": ("3", "int64[2] pads = {0,1}, float seven = {7}", "y = Pad(x, pads, seven)",
                [0, 0, 7]),
    "constant": ("2", "float[2] c = {1, 2}", "y = Add(x, c)", [1, 2]),
    "locally constant": ("2", "", "y = Floor(x)", [3, 1]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_each_kind_by_hand(kind: str) -> None:
    n, more, nodes, b = ONE_OF_EACH[kind]
    m = linearize(model(GRAPH.format(n=n, more=more, nodes=nodes)), np.array([3.0, 1.0]))
    found = ledger(m)
    assert list(found.by_kind) == [kind]
    np.testing.assert_array_equal(found.by_kind[kind], b)
    np.testing.assert_array_equal(found.b, b)


def test_other_kinds_by_hand() -> None:
    text = GRAPH.format(n="2", more="float[2] c = {1.5, 2}", nodes="s = Add(x, c) y = Round(s)")
    m = linearize(model(text), np.array([0.2, 1.0]), rounding="straight-through")
    # 1.7 rounds to 2: 0.3 is added; the constants pass.
    found = ledger(m)
    assert found.kinds == ("rounding offset", "constant")
    np.testing.assert_allclose(found.by_kind["rounding offset"], [0.3, 0], atol=1e-6)
    frozen = linearize(
        model(GRAPH.format(n="2", more="", nodes="y = Sigmoid(x)")), np.ones(2), mode="frozen"
    )
    assert list(ledger(frozen).by_kind) == ["held value"]
    text = GRAPH.format(n="2", more="", nodes="r = RandomNormalLike<seed=1.0>(x) y = Add(x, r)")
    assert set(ledger(linearize(model(text), np.ones(2))).by_kind) <= {"random draw", "constant"}
    constant = (
        "g (float[2] x) => (float[2] y, float[1] z) <float[1] c = {4}> { y = Relu(x) z = Abs(c) }"
    )
    assert ledger(linearize(model(constant), np.ones(2))).by_node["z"].tolist() == [0, 0, 4]


def test_a_loaded_map_has_shares_and_no_kinds(tmp_path: Path) -> None:
    m = linearize(mlp(), X).verify()
    m.save(tmp_path / "m.npz")
    found = ledger(AffineMap.load(tmp_path / "m.npz"))
    np.testing.assert_array_equal(found.shares, ledger(m).shares)
    with pytest.raises(DetachedError, match="the kinds of a ledger needs the linear program"):
        found.by_kind  # noqa: B018


def test_every_kind_is_explained() -> None:
    assert set(MEANING) == set(KINDS)


# Units


@few
@draw(onnx_models(min_nodes=2), st.sampled_from(["tangent", "frozen"]))
def test_units_sum_to_their_node_on_any_graph(grown: GrownModel, mode: str) -> None:
    """Both come from the cotangents of one sweep, so only the summing differs."""
    m = linearize(grown.model, grown.x, mode=mode, engine="reverse", dtype=np.float64)
    totals, slack = ({n: np.zeros(len(m.rows)) for n in m.bias_by_node} for _ in range(2))
    shapes = {layer.output: layer.step.shape for layer in m.layers}
    for each in bias_maps(m):
        assert each.values.shape == (len(m.rows), *shapes[each.tensor])
        totals[each.node] += each.total
        sizes = np.abs(each.values).reshape(len(m.rows), -1)
        slack[each.node] += gamma(2 * sizes.shape[1] + 2, UNIT) * sizes.sum(axis=1)
    for node, share in m.bias_by_node.items():
        if node not in m.outputs:
            assert (np.abs(totals[node] - share) <= slack[node]).all()


@pytest.mark.parametrize("name", ["cnn_bn_mnist", "alexnet_mnist"])
def test_a_unit_is_its_bias_times_the_map_behind_it(name: str) -> None:
    path, x = given(name)
    how = {"engine": "reverse", "dtype": np.float64, "rows": [7, 2]}
    m = linearize(path, x, **how)
    for each in bias_maps(m):
        after = linearize(path, x, inputs=each.tensor, outputs=list(m.outputs), **how)
        (layer,) = [layer for layer in m.layers if layer.output == each.tensor]
        np.testing.assert_array_equal(each.values.reshape(2, -1), after.W * layer.bias)


def test_maps_of_chosen_nodes() -> None:
    path, x = given("cnn_bn_mnist")
    m = linearize(path, x)
    first, *_ = bias_maps(m)
    assert first.values.shape == (10, 1, 12, 14, 14)
    (alone,) = bias_maps(m, [7], first.node)
    (bias,) = [layer.bias for layer in m.layers if layer.output == first.tensor]
    # One row alone and ten of them together are added up in another order.
    after = linearize(path, x, inputs=first.tensor, rows=[7], engine="reverse")
    assert_same_units(after, alone.values, first.values[[7]], bias)
    assert alone.kind == "batch norm"
    with pytest.raises(OptionError, match=r"Nodes \['x'\] bring in no bias at this x. Those that"):
        bias_maps(m, nodes=["x"])


def test_padding_that_no_maximum_takes_brings_nothing() -> None:
    text = """g (float[1,1,2] x) => (float[1,1,1] y)
        <int64[6] pads = {0,0,1,0,0,0}, float low = {-inf}> {
        p = Pad(x, pads, low) y = MaxPool<kernel_shape=[3]>(p) }"""
    m = linearize(model(text.replace("-inf", "-3e38")), np.ones((1, 1, 2)))
    m.layers[0].step.bias[:] = np.where(m.layers[0].step.bias < 0, -np.inf, 0)
    (found,) = bias_maps(m)
    assert not found.values.any()


# Spreading


@few
@draw(onnx_models(min_nodes=2), st.sampled_from(["tangent", "frozen"]))
def test_spread_and_rest_sum_to_b_on_any_graph(grown: GrownModel, mode: str) -> None:
    for dtype in (np.float32, np.float64):
        m = linearize(grown.model, grown.x, mode=mode, dtype=dtype)
        found = spread_bias(m)
        assert found.values.shape == m.W.shape
        assert_closes(m, found.values.sum(axis=1) + found.rest)


@pytest.mark.parametrize("name", NETS)
def test_spread_of_a_net_leaves_no_rest(name: str) -> None:
    path, x = given(name)
    m = linearize(path, x, dtype=np.float64)
    found = spread_bias(m, [7, 0])
    assert not found.rest.any()
    assert_closes(m, found.values.sum(axis=1), [7, 0])
    np.testing.assert_array_equal(found.b, m.b[[7, 0]])


def test_spread_by_hand() -> None:
    m = linearize(mlp(), X, dtype=np.float64)
    first, act, last = (next(iter(layer.terms.values())).toarray() for layer in m.layers)
    beta = (last @ act) * m.layers[0].bias
    size = np.abs(first * m.x)
    share = size / size.sum(axis=1, keepdims=True)
    sizes = (np.abs(last @ act) * np.abs(m.layers[0].bias)) @ share
    assert_close(spread_bias(m).values, beta @ share, sums(4 * size.size, sizes))


def test_what_no_feature_moves_is_the_rest() -> None:
    text = GRAPH.format(n="2", more="float cap = {2}", nodes="y = Clip(x, , cap)")
    found = spread_bias(linearize(model(text), np.array([5.0, 1.0])))
    np.testing.assert_array_equal(found.rest, [2, 0])
    assert not found.values.any()


def test_at_zero_the_coefficients_decide() -> None:
    more = "float[2,1] w = {1, -3}, float[1] c = {8}"
    text = GRAPH.format(n="1", more=more, nodes="h = MatMul(x, w) y = Add(h, c)")
    found = spread_bias(linearize(model(text), np.zeros(2)))
    np.testing.assert_allclose(found.values, [[2, 6]])


def test_planted_errors_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    m = linearize(mlp(), X)
    slack = 2 * (m.bound * m.scale).max()
    wrong = {node: share + slack for node, share in m.bias_by_node.items()}
    with monkeypatch.context() as patch:
        patch.setattr(AffineMap, "bias_by_node", property(lambda m: wrong))
        with pytest.raises(ResidualError, match=r"W x \+ shares of b against F\(x\): row \d has"):
            ledger(m)
    with monkeypatch.context() as patch:
        true = Split.__call__
        patch.setattr(Split, "__call__", lambda s, b: ((n, 1.001 * v) for n, v in true(s, b)))
        with pytest.raises(ResidualError, match="what is spread against what nodes brought in"):
            spread_bias(m)
    step = m.layers[0].step
    object.__setattr__(step, "bias", step.bias + np.float32(slack))
    with pytest.raises(ResidualError, match=r"W x \+ bias maps against F\(x\)"):
        bias_maps(m)
    with pytest.raises(ResidualError, match=r"W x \+ spread b against F\(x\)"):
        spread_bias(m)


def test_a_map_of_many_rows_is_swept_in_chunks() -> None:
    """Other numbers of rows are added up in another order: equal to within the composing."""
    path, x = given("lenet5_mnist")
    m = linearize(path, x, engine="reverse")
    few = Linearizer(path, memory=needed(m.made_from("the test").job))(x, engine="reverse")
    biases = {layer.output: layer.bias for layer in m.layers}
    for a, b in zip(bias_maps(few), bias_maps(m), strict=True):
        assert a.tensor == b.tensor
        after = linearize(path, x, inputs=a.tensor, engine="reverse")
        assert_same_units(after, a.values, b.values, biases[a.tensor])
