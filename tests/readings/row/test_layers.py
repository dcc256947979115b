"""Parts of the map fit together, and the units that are off bring nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings

import onnxlin
from onnxlin import Linearizer, OptionError, ResidualError, TensorNameError, linearize
from onnxlin.engines.explicit import explicit
from onnxlin.primitives import Sum
from onnxlin.program.rates import gamma
from onnxlin.readings import between, layer, live_units
from onnxlin.readings.checks import UNIT
from onnxlin.rules import Rule
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close
from tests.readings.nets import NETS, given
from tests.small import X, mlp, model
from tests.test_errors import wrong_slope
from tests.twin import by_hand

few = settings(max_examples=max(settings().max_examples // 2, 1))


def test_a_layer_by_its_node_or_its_tensor() -> None:
    m = linearize(mlp(), X)
    for name in ("first", "h"):
        found = layer(m, name)
        assert (found.name, found.output, found.op_type) == ("first", "h", "Gemm")
        hidden = found.terms["x"] @ m.x + found.bias
    relu = layer(m, "act")
    np.testing.assert_array_equal(relu.terms["h"].diagonal(), hidden > 0)


def test_a_layer_that_is_not_there() -> None:
    m = linearize(mlp(), X)
    with pytest.raises(OptionError, match=r"'second' names 0 pieces .* one of \['first', 'act'"):
        layer(m, "second")
    text = "g (float[2] x) => (float[1] a, float[1] b) { [cut] a, b = Split <num_outputs=2> (x) }"
    with pytest.raises(OptionError, match=r"'cut' names 2 pieces .* one of \['a', 'b'\]"):
        layer(linearize(model(text), np.ones(2)), "cut")


def test_a_layer_that_is_not_what_the_run_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(onnxlin.RULES, ("", "Relu"), Rule(wrong_slope))
    m = linearize(mlp(), X)
    layer(m, "first")
    with pytest.raises(ResidualError, match=r"is not what the run did\. Relu at node 'act'"):
        layer(m, "act")


def test_a_layer_inside_of_an_opened_node() -> None:
    text = "g (float[2,4] x) => (float[2,4] y) <float[4] s = {1,2,3,4}> { y = LpNormalization(x) }"
    m = linearize(model(text), np.arange(1.0, 9.0).reshape(2, 4))
    for each in m.layers:
        assert layer(m, each.output).output == each.output


@pytest.mark.parametrize("name", ["lenet5_mnist", "cnn_bn_mnist", "mlp5_fashion"])
def test_maps_between_tensors_compose(name: str) -> None:
    """In a chain: W(out <- t) W(t <- x) = W(out <- x), and b likewise."""
    path, x = given(name)
    lin = Linearizer(path)
    whole = between(lin, x, dtype=np.float64)
    for node in lin.section.nodes[1:-1:3]:
        before = between(lin, x, end=node.name, dtype=np.float64)
        after = between(lin, x, start=node.outputs[0], dtype=np.float64)
        count = 2 * (len(before.rows) + 40 * len(lin.section.nodes))
        # What cancels inside of a product is still rounded: sizes are those of the pieces.
        size = np.abs(after.W) @ np.abs(before.W)
        reach = gamma(count, UNIT) * size + 2 * whole.composition_bound.max() * size
        assert (np.abs(after.W @ before.W - whole.W) <= reach).all()
        b = after.W @ before.b + after.b
        sizes = np.abs(after.W) @ before.scale + after.scale
        assert (np.abs(b - whole.b) <= 2 * whole.composition_bound * sizes).all()


def test_ends_that_are_not_there() -> None:
    path, x = given("lenet5_mnist")
    with pytest.raises(
        TensorNameError, match=r"'nowhere' is no tensor and no node .* nodes: \['/0"
    ):
        between(Linearizer(path), x, start="nowhere")


def test_rows_of_a_stretch() -> None:
    path, x = given("lenet5_mnist")
    lin = Linearizer(path)
    m = between(lin, x, "/2/MaxPool", "/5/MaxPool", rows=[3])
    assert m.W.shape == (1, 6 * 14 * 14)
    assert len(between(lin, x, end="/5/MaxPool").rows) == 400


# Live units


def test_units_of_an_mlp_by_hand() -> None:
    m = linearize(mlp(), X)
    (found,) = live_units(m)
    hidden = layer(m, "first").terms["x"] @ m.x + layer(m, "first").bias
    assert (found.node, found.op_type, found.tensor) == ("act", "Relu", "h")
    assert (found.units, found.on, found.live) == (4, (hidden > 0).sum(), (hidden > 0).sum())
    assert found.on_share == found.live_share == found.on / 4


def test_winners_of_a_pool() -> None:
    path, x = given("lenet5_mnist")
    found = {each.node: each for each in live_units(linearize(path, x))}
    assert [each.op_type for each in found.values()].count("MaxPool") == 2
    # Windows of 2 x 2 that do not overlap have one winner each.
    assert found["/2/MaxPool"].on_share == 0.25
    assert found["/2/MaxPool"].live < found["/2/MaxPool"].on
    assert live_units(linearize(path, x, rows=np.zeros((1, 10))))[0].live == 0


@few
@draw(onnx_models(min_nodes=3))
def test_live_units_are_those_whose_columns_are_not_zero(grown: GrownModel) -> None:
    m = linearize(grown.model, grown.x, dtype=np.float64)
    for found in live_units(m):
        assert 0 <= found.live <= found.on <= found.units
    # A node's own matrix has columns of 0 for the units that are off.
    for each in m.layers:
        if each.step.margin is not None:
            for i, (name, op) in enumerate(each.step.terms):
                counted = [f for f in live_units(m) if (f.node, f.tensor) == (each.name, name)]
                matrix = abs(op.absolute().to_sparse())
                on = int((matrix.sum(axis=0) > 0).sum())
                assert on in [f.on for f in counted], i


@few
@draw(onnx_models(min_nodes=3))
def test_units_that_are_not_live_do_not_matter(grown: GrownModel) -> None:
    """Cut off at a unit that no row sees, W is as it was."""
    m = linearize(grown.model, grown.x, dtype=np.float64)
    origin = m.made_from("a test")
    silent = {found.tensor for found in live_units(m) if found.live == 0 and found.units} & {
        tensor for step in origin.program.steps for tensor in [step.output]
    }
    steps = tuple(
        replace(step, terms=tuple(t for t in step.terms if t[0] not in silent))
        if step.margin is not None else step
        for step in origin.program.steps
    )  # fmt: skip
    job = replace(origin.job, program=replace(origin.program, steps=steps))
    # With fewer entries matrices may be kept in another form, which adds up in another order.
    assert_close(explicit(job).W, explicit(origin.job).W, by_hand(m).slack)


@pytest.mark.parametrize("name", NETS)
def test_live_units_of_a_net(name: str) -> None:
    path, x = given(name)
    m = linearize(path, x)
    one, whole = live_units(m, [7]), live_units(m)
    assert all(a.live <= b.live and a.on == b.on for a, b in zip(one, whole, strict=True))
    assert all(0 < each.on < each.units for each in whole)


def test_a_planted_error_is_caught() -> None:
    m = linearize(mlp(), X)
    assert m.W is not None
    assert (m.bound < 1).all()
    step = m.layers[0].step
    ((name, op),) = step.terms
    object.__setattr__(step, "terms", ((name, Sum.of(op, op)),))
    with pytest.raises(ResidualError, match=r"W x of the sweep, \+ b, against F\(x\): row"):
        live_units(m)
