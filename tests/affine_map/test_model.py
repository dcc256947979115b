"""A map written as an ONNX model is the same map, in any runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

import onnxlin
from onnxlin import AffineMap, Linearizer, linearize
from onnxlin.affine_map import model as map_model
from onnxlin.testing import GrownModel, onnx_models
from tests.small import X, mlp, model

Array = np.ndarray
DTYPES = (np.float32, np.float64)
ODD = sorted((Path(__file__).parents[2] / "fixtures" / "odd").glob("*.onnx"))


def feeds_of(m: AffineMap, seed: int) -> dict[str, Array]:
    """Another x for a map, in its own precision."""
    rng = np.random.default_rng(seed)
    return {n: np.asarray(rng.normal(size=v.shape), m.dtype) for n, v in m.inputs.items()}


def run(proto: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))


def slack(m: AffineMap, x: dict[str, Array]) -> Array:
    """Rounding of one product, of b to the map's dtype, and of their sum (Higham, section 3.1)."""
    flat = np.concatenate([np.abs(v).ravel() for v in x.values()]).astype(np.float64)
    size = np.abs(m.W.astype(np.float64)) @ flat + np.abs(m.b)
    count = (len(m.x) + 3) * np.finfo(m.dtype).eps
    return count * size + np.finfo(m.dtype).tiny * (len(m.x) + 1)


def assert_same_map(m: AffineMap, proto: onnx.ModelProto, seed: int = 0) -> None:
    """The model is valid, and computes W x + b wherever x is."""
    onnx.checker.check_model(proto, full_check=True)
    x = feeds_of(m, seed)
    found = run(proto, x)
    whole = np.concatenate([np.ravel(value) for value in found.values()])
    assert (np.abs(whole - m(x)) <= slack(m, x)).all()


@given(onnx_models(), st.sampled_from(DTYPES), st.integers(0, 99))
def test_the_model_of_a_map_is_the_map(grown: GrownModel, dtype: Any, seed: int) -> None:
    m = linearize(grown.model, grown.x, dtype=dtype)
    proto = m.to_onnx()
    assert_same_map(m, proto, seed)
    found = run(proto, feeds_of(m, seed))
    shapes = {name: value.shape for name, value in found.items()}
    renamed = {n + "_" * (n in m.inputs): s for n, s in m.shapes[1].items()}
    assert shapes == renamed
    assert [(i.name, shape(i)) for i in proto.graph.input] == list(m.shapes[0].items())


def shape(info: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(d.dim_value for d in info.type.tensor_type.shape.dim)


@given(onnx_models(), st.integers(0, 99))
def test_linearising_it_gives_the_map_back(grown: GrownModel, seed: int) -> None:
    """W to the last bit; b but for its rounding."""
    m = linearize(grown.model, grown.x, dtype=np.float64)
    again = linearize(m.to_onnx(), feeds_of(m, seed)).verify()
    np.testing.assert_array_equal(again.W, m.W)
    np.testing.assert_allclose(again.b, m.b, rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize("path", ODD, ids=lambda path: path.stem)
def test_odd_models(path: Path) -> None:
    m = linearize(path, dict(np.load(path.with_suffix(".npz"))))
    assert_same_map(m, m.to_onnx())


@pytest.mark.parametrize("rows", [[1], [1, 0], [[1, -1]], [[0.5, 0.5], [1, 0], [0, 1]], []])
def test_chosen_rows_are_one_vector(rows: Any) -> None:
    m = linearize(mlp(), X, rows=np.array(rows) if rows else np.zeros(0, int))
    proto = m.to_onnx()
    assert [o.name for o in proto.graph.output] == ["rows"]
    assert shape(proto.graph.output[0]) == (len(rows),)
    assert_same_map(m, proto)


def test_it_is_the_model_at_x(fixtures: Path) -> None:
    """Near x, too: in the region it predicts what the network says."""
    path = fixtures / "lenet5_mnist.onnx"
    lin = Linearizer(path)
    x = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    m = lin(x)
    near = x + np.float32(1e-6) * np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    other = lin(near)
    assert other.pattern_key == m.pattern_key
    for at, truth in ((x, m), (near, other)):
        (found,) = run(m.to_onnx(), {"image": at}).values()
        assert found.shape == (1, 10)
        allowed = truth.bound * truth.scale + slack(m, {"image": at})
        assert (np.abs(found.ravel() - truth.y) <= allowed).all()


def test_the_reference_evaluator_runs_it(fixtures: Path) -> None:
    """Another runtime than onnxruntime."""
    path = fixtures / "odd" / "two_in_two_out.onnx"
    m = linearize(path, dict(np.load(path.with_suffix(".npz"))), dtype=np.float64)
    x = feeds_of(m, 3)
    found = ReferenceEvaluator(m.to_onnx()).run(None, x)
    whole = np.concatenate([np.ravel(value) for value in found])
    assert (np.abs(whole - m(x)) <= slack(m, x)).all()


def test_a_loaded_map_can_be_written(tmp_path: Path) -> None:
    m = linearize(mlp(), X)
    m.save(tmp_path / "map.npz")
    assert AffineMap.load(tmp_path / "map.npz").to_onnx() == m.to_onnx()


def test_names_of_the_model_are_kept_whatever_they_are() -> None:
    text = """g (float[2] W, float[2] flat) => (float[2] shape, float[2] b) {
        [Gemm_4] shape = Add(W, flat)  [rows] b = Relu(flat) }"""
    m = linearize(model(text), {"W": np.ones(2), "flat": np.array([1, -1])})
    proto = m.to_onnx()
    assert_same_map(m, proto)
    assert [i.name for i in proto.graph.input] == ["W", "flat"]
    assert [o.name for o in proto.graph.output] == ["shape", "b"]


def test_it_says_what_it_is() -> None:
    m = linearize(mlp(), X, mode="frozen")
    proto = m.to_onnx()
    about = {entry.key: entry.value for entry in proto.metadata_props}
    assert about["format"] == "onnxlin.AffineMap"
    assert (about["mode"], about["rounding"], about["rows"]) == ("frozen", "staircase", '"all"')
    assert float(about["residual"]) == m.residual.max()
    assert proto.producer_name == "onnxlin"
    assert {n.op_type for n in proto.graph.node} == {"Reshape", "Gemm"}
    some = linearize(mlp(), X, rows=[1]).to_onnx()
    assert {e.key: e.value for e in some.metadata_props}["rows"] == "[1]"


def test_what_no_file_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_model, "LARGEST", 16)
    with pytest.raises(onnxlin.OptionError, match=r"W of 2 x 3 has 0\.00 GiB.*fewer rows="):
        linearize(mlp(), X).to_onnx()
