"""The map of every depth of a transformer is the model, too, and its ledger adds up to b."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import onnxlin
from onnxlin import OptionError, ResidualError, Verdict
from onnxlin.readings import between, depths, ledger
from onnxlin.readings.stream.listed import listed
from tests.readings.nets import bias_free, filled
from tests.readings.stream.nets import EARLY, FORMS, IDS, LATE, PARALLEL, WIDTH, T, transformer
from tests.small import mlp

MODES = ("tangent", "frozen")
ROWS = [3, 40, 52]  # at the first place, and at later ones


@cache
def lin(form: str, spelt: bool, mode: str) -> onnxlin.Linearizer:
    return onnxlin.Linearizer(transformer(form, spelt), mode=mode)


@cache
def of(form: str, spelt: bool, mode: str) -> onnxlin.AffineMap:
    return lin(form, spelt, mode)(IDS, rows=ROWS)


# Numbers of float64 that are not large, by a few thousand roundings: far above what these leave,
# and far below what a term that is missing would.
SMALL = 1e-9


def assert_same(one: object, other: object) -> None:
    np.testing.assert_allclose(one, other, rtol=SMALL, atol=SMALL)


every = pytest.mark.parametrize(("form", "spelt"), FORMS)
both = pytest.mark.parametrize("mode", MODES)


@every
@both
def test_every_depth_is_the_model(form: str, spelt: bool, mode: str) -> None:
    m = of(form, spelt, mode)
    found = depths(m)
    assert (found.error <= found.error_bound).all()
    assert {v for row in found.verdicts for v in row} == {Verdict.PASS}
    # The fewer nodes are left behind a depth, the less rounding may do.
    assert (np.diff(found.error_bound[1:], axis=0) <= SMALL).all()


@every
@both
def test_the_first_depth_is_the_map(form: str, spelt: bool, mode: str) -> None:
    m = of(form, spelt, mode)
    found = depths(m)
    assert found.depths[0].label == "x"
    tokens = m.contributions.reshape(len(ROWS), T, WIDTH)
    assert_same(found.values[0], tokens.sum(axis=2))
    assert_same(found.rest[0], m.b)


@every
@both
def test_a_depth_is_the_map_that_starts_there(form: str, spelt: bool, mode: str) -> None:
    found = depths(of(form, spelt, mode))
    for i, depth in enumerate(found.depths[1:], 1):
        own = between(lin(form, spelt, mode), IDS, start=depth.tensor, rows=ROWS)
        tokens = own.contributions.reshape(len(ROWS), T, WIDTH).sum(axis=2)
        assert_same(found.values[i], tokens)
        assert_same(found.rest[i], own.b)


@every
@both
def test_the_ledger_adds_up_to_b(form: str, spelt: bool, mode: str) -> None:
    m = of(form, spelt, mode)
    found = depths(m)
    assert_same(sum(found.places.values()), m.b)
    assert_same(sum(found.by_kind.values()), m.b)
    (places,) = (step.node.name for step in m.made_from("b").program.steps if step.output == "h0")
    assert_same(found.places[0, "embedding"], ledger(m).by_node[places])


def test_what_is_found_in_each_form() -> None:
    found = {form: depths(of(form, False, "frozen")).depths for form, _ in FORMS}
    labels = {form: [depth.label for depth in each] for form, each in found.items()}
    apart = ["x", "embedded", "attention 1", "MLP 1", "attention 2", "MLP 2"]
    assert labels == {
        EARLY: apart,
        LATE: apart,
        PARALLEL: ["x", "embedded", "attention and MLP 1", "attention and MLP 2"],
    }
    behind = {form: [depth.tensor for depth in each] for form, each in found.items()}
    assert behind[EARLY] == behind[LATE] == ["e", "h0", "r0", "h1", "r1", "h2"]
    assert behind[PARALLEL] == ["e", "h0", "h1", "h2"]


@every
@both
def test_spelling_changes_neither_depths_nor_ledger(form: str, spelt: bool, mode: str) -> None:
    one, other = depths(of(form, spelt, mode)), depths(of(form, False, mode))
    # epsilon is a float32 as an attribute.
    np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-5)
    for kind in one.by_kind.keys() | other.by_kind.keys():
        shares = [found.by_kind.get(kind, np.zeros(len(ROWS))) for found in (one, other)]
        np.testing.assert_allclose(*shares, rtol=1e-5, atol=1e-5)


def test_the_share_of_a_part_is_what_its_biases_are() -> None:
    """With the biases of one part set to 0 the frozen ledger has nothing there."""
    proto = transformer(PARALLEL)
    for held in proto.graph.initializer:
        if held.name.startswith(("a", "b")):
            held.raw_data = bytes(len(held.raw_data))
    m = onnxlin.linearize(proto, IDS, rows=ROWS, mode="frozen")
    found = depths(m)
    assert not found.by_kind.get("MLP", np.zeros(1)).any()
    assert found.by_kind["attention"].all()


def test_combinations_and_compiled_maps() -> None:
    form, spelt, mode = EARLY, False, "frozen"
    plain = depths(of(form, spelt, mode))
    mixed = depths(of(form, spelt, mode), [[1, -1, 0]])
    assert_same(mixed.values[:, 0], plain.values[:, 0] - plain.values[:, 1])
    m = lin(form, spelt, mode)(IDS, rows=ROWS, engine="compiled")
    assert_same(depths(m).values, plain.values)


def test_listed_is_plain_and_ordered() -> None:
    found = depths(of(EARLY, False, "tangent"))
    data = listed(found)
    np.testing.assert_array_equal(np.array(data["values"]).transpose(1, 0, 2), found.values)
    names = [place["name"] for place in data["places"]]
    layers = [f"{kind} {i}" for i in (1, 2) for kind in ("norm", "attention", "MLP")]
    assert names == ["embedding", *layers, "norm before the head"]
    assert data["positions"] == [str(i) for i in range(T)]


@pytest.mark.parametrize("net", [mlp, bias_free])
def test_a_net_without_a_stream(net) -> None:
    x = np.ones([1, 1, 8, 8], np.float32) if net is bias_free else np.ones((1, 3), np.float32)
    with pytest.raises(OptionError, match="No stream was found between"):
        depths(onnxlin.linearize(net(), x))


def test_a_map_that_is_not_the_model_is_told() -> None:
    m = onnxlin.linearize(transformer(), IDS, rows=ROWS)
    m.outputs["y"] = m.outputs["y"] + 1
    with pytest.raises(ResidualError, match="W_h h"):
        depths(m)


def test_one_position_alone() -> None:
    """Nothing tells attention from an MLP there."""
    text = "g (float[1,6] x) => (float[1,6] y) <float[6,6] a, float[6,6] b> { "
    net = text + "h = MatMul(x, a) r = Relu(h) s = MatMul(r, b) y = Add(s, x) }"
    m = onnxlin.linearize(filled(net, a=(6, 6), b=(6, 6)), np.ones((1, 6), np.float32))
    assert [d.label for d in depths(m).depths] == ["x", "block 1"]
