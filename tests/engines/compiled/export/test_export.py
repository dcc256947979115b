"""A saved graph is the map at every x, for any runtime: no onnxlin runs in these graphs."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin.section import MODES
from onnxlin.testing import GrownModel, onnx_models
from tests.engines.compiled.exported import (
    Reference,
    compiled,
    elsewhere,
    facts,
    integers,
    run,
    session,
)
from tests.installed import fewest_rows, require
from tests.proofs import instance
from tests.small import X, mlp, model
from tests.test_fixtures import ODD, TRAINED, named

NUMBERS = st.integers(fewest_rows(), 3)
half = settings(max_examples=max(settings().max_examples // 2, 1))
SMALL = [path for path in TRAINED if path.stem in {"mlp2_mnist", "mlp5_fashion", "lenet5_mnist"}]


def reference(grown: GrownModel, x: dict, mode: str) -> Reference:
    """The map at x, if there is one."""
    try:
        return Reference.at(grown.model, x, mode=mode)
    except onnxlin.TraceError:  # infinite there
        assume(False)
        raise


@half
@given(
    onnx_models(min_nodes=2),
    st.sampled_from(MODES),
    NUMBERS,
    st.integers(0, 99),
)
def test_seeds_of_any_number_at_another_x(grown: GrownModel, mode: str, k: int, seed: int) -> None:
    made = compiled(grown.model, x=grown.x, mode=mode, shares=True)
    x = elsewhere(grown.x, seed)
    want = reference(grown, x, mode)
    seeds = integers(np.random.default_rng(seed), k, len(want.y))
    answer = run(session(made), {**x, "seeds": seeds})
    want.assert_rows(seeds, answer)
    nodes = json.loads(facts(made)["onnxlin.shares"])
    assert answer["shares"].shape == (k, len(nodes))
    size = np.abs(seeds) @ want.bias_slack * (1 + len(want.y))
    for i, node in enumerate(nodes):
        share = seeds @ want.map.bias_by_node.get(node, np.zeros(len(want.y)))
        assert (np.abs(answer["shares"][:, i] - share) <= size).all()
    assert want.map.bias_by_node.keys() <= {*nodes, *_zero(want)}


def _zero(want: Reference) -> list[str]:
    """Nodes whose share is nothing anyway."""
    return [node for node, share in want.map.bias_by_node.items() if not share.any()]


@half
@given(
    onnx_models(min_nodes=2),
    st.sampled_from(MODES),
    NUMBERS,
    st.integers(0, 99),
)
def test_tangents_of_any_number_at_another_x(
    grown: GrownModel, mode: str, k: int, seed: int
) -> None:
    made = compiled(grown.model, x=grown.x, mode=mode, direction="tangent")
    x = elsewhere(grown.x, seed)
    want = reference(grown, x, mode)
    tangents = integers(np.random.default_rng(seed), k, want.W.shape[1])
    want.assert_columns(tangents, run(session(made), {**x, "tangents": tangents}))


@half
@given(onnx_models(min_nodes=2), st.sampled_from(MODES), st.integers(1, 3), st.integers(0, 99))
def test_dot_test_between_the_directions(grown: GrownModel, mode: str, k: int, seed: int) -> None:
    """``<seeds W, t> == <seeds, t W.T>``, without any other engine."""
    adjoint = compiled(grown.model, x=grown.x, mode=mode)
    tangent = compiled(grown.model, x=grown.x, mode=mode, direction="tangent")
    x, rng = elsewhere(grown.x, seed), np.random.default_rng(seed)
    want = reference(grown, x, mode)
    seeds, tangents = integers(rng, k, len(want.y)), integers(rng, k, want.W.shape[1])
    rows = run(session(adjoint), {**x, "seeds": seeds})["seeds_W"].astype(np.float64)
    columns = run(session(tangent), {**x, "tangents": tangents})["W_tangents"].astype(np.float64)
    gap = np.abs(rows @ tangents.T - seeds @ columns.T)
    slack = np.abs(seeds).astype(np.float64) @ want.slack @ np.abs(tangents).T
    assert (gap <= slack * (2 + sum(want.W.shape))).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", SMALL, ids=named)
def test_trained_model_in_onnxruntime_as_it_comes(path, mode, tmp_path) -> None:
    """Saved, loaded by its name, all optimisers on, at an x that the file has never seen."""
    file = str(tmp_path / "compiled.onnx")
    onnxlin.compile_model(path, file, mode=mode)
    onnx.checker.check_model(file, full_check=True)
    x = instance(onnx.load(path), seed=3)
    want = Reference.at(path, x, mode=mode)
    answer = run(session(file, optimised=True), {**x, "seeds": np.eye(10, dtype=np.float32)})
    want.assert_rows(np.eye(10, dtype=np.float32), answer)


@pytest.mark.parametrize("path", TRAINED, ids=named)
def test_every_trained_model_equals_its_map(path, tmp_path) -> None:
    """F(x) = W x + b with W, b and F(x) all from the saved graph, within the derived bound."""
    require(path)
    file = str(tmp_path / "compiled.onnx")
    onnxlin.compile_model(path, file)
    x = instance(onnx.load(path), seed=4)
    m = onnxlin.linearize(path, x, engine="reverse")
    seeds = np.eye(len(m.y), dtype=np.float32)
    answer = run(session(file), {**x, "seeds": seeds})
    y = answer[next(iter(m.outputs))].ravel().astype(np.float64)
    np.testing.assert_array_equal(y, m.y)
    ours = answer["seeds_W"].astype(np.float64) @ m.x + answer["seeds_b"]
    # b is summed in float32 here, in float64 by the other engines.
    total = sum(np.abs(share) for share in m.bias_by_node.values())
    rounding = 2 * len(m.bias_by_node) * np.finfo(np.float32).eps * total
    assert (np.abs(ours - y) <= m.bound * m.scale + rounding).all()


def odd_instance(path) -> dict[str, np.ndarray]:
    return dict(np.load(path.with_suffix(".npz")))


@pytest.mark.parametrize("path", ODD, ids=named)
def test_odd_model_both_ways(path) -> None:
    """At its own x, compiled at another where there is another."""
    proto, x = onnx.load(path), odd_instance(path)
    adjoint = onnxlin.compile_model(proto, x=elsewhere(x, 0), shares=True)
    tangent = onnxlin.compile_model(proto, x=elsewhere(x, 0), direction="tangent")
    want = Reference.at(proto, x)
    for made in (adjoint, tangent):
        onnx.checker.check_model(made, full_check=True)
    seeds, tangents = (np.eye(n, dtype=want.W.dtype) for n in want.W.shape)
    want.assert_rows(seeds, run(session(adjoint), {**x, "seeds": seeds}))
    want.assert_columns(tangents, run(session(tangent), {**x, "tangents": tangents}))


def test_names_that_the_model_has_taken() -> None:
    text = """g (float[3] seeds, float[3] seeds_W) => (float[3] shares, float[3] tangents) {
        shares = Add(seeds, seeds_W)  tangents = Mul(seeds, seeds_W) }"""
    made = onnxlin.compile_model(model(text), shares=True)
    onnx.checker.check_model(made, full_check=True)
    names = json.loads(facts(made)["onnxlin.names"])
    assert len({*names.values(), "seeds", "seeds_W", "shares", "tangents"}) == 8
    x = {"seeds": np.array([1, 2, 3], np.float32), "seeds_W": np.array([4, 5, 6], np.float32)}
    answer = run(session(made), {**x, names["given"]: np.eye(6, dtype=np.float32)})
    m = onnxlin.linearize(model(text), x)
    np.testing.assert_array_equal(answer[names["rows"]], m.W)
    np.testing.assert_array_equal(answer[names["bias"]], m.b)
    assert answer[names["shares"]].shape == (6, 1)
    back = onnxlin.compile_model(model(text), direction="tangent")
    assert json.loads(facts(back)["onnxlin.names"])["rows"] == "W_tangents"


def test_rows_are_the_seeds_taken_when_none_are_given() -> None:
    made = onnxlin.compile_model(mlp(), rows=[[1, -1]])
    onnx.checker.check_model(made, full_check=True)
    want, opened = Reference.at(mlp(), X), session(made)
    want.assert_rows(np.array([[1, -1]], np.float32), run(opened, {"x": X}))
    seeds = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    want.assert_rows(seeds, run(opened, {"x": X, "seeds": seeds}))


def test_inner_ends_and_inputs_that_are_held() -> None:
    made = onnxlin.compile_model(mlp(), inputs=["h"], outputs=["r", "y"])
    onnx.checker.check_model(made, full_check=True)
    answer = run(session(made), {"x": X, "seeds": np.eye(6, dtype=np.float32)})
    want = Reference.at(mlp(), X, inputs=["h"], outputs=["r", "y"])
    np.testing.assert_array_equal(answer["h"].ravel(), want.map.x)
    want.assert_rows(np.eye(6, dtype=np.float32), answer)
