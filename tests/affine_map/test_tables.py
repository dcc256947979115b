"""Maps as tables: under the names that the model has, the numbers that the map has."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.affine_map import tables
from onnxlin.readings import contributions, margin, mean, relative
from tests.small import X, mlp, model

FEATURES, CLASSES = ["length", "width", "weight"], ["cat", "dog"]
PICTURE = """g (float[1,3,4,5] image, float[2] more) => (float[3] y)
    <int64[1] s = {-1}> {
    m = ReduceMean <keepdims = 0> (image)
    t = Reshape(m, s)
    y = Concat <axis = 0> (more, t) }"""


def told(**lists: list[str]) -> onnx.ModelProto:
    proto = mlp()
    onnx.helper.set_model_props(proto, {name: json.dumps(names) for name, names in lists.items()})
    return proto


@pytest.fixture
def m() -> onnxlin.AffineMap:
    return onnxlin.linearize(told(features=FEATURES, classes=CLASSES), X, dtype=np.float64)


def test_columns_and_rows_have_the_models_names(m: onnxlin.AffineMap, tmp_path: Any) -> None:
    pytest.importorskip("pandas")
    found = m.to_frame()
    assert (list(found.index), list(found.columns)) == (FEATURES, CLASSES)
    np.testing.assert_array_equal(found.loc["width", "dog"], m.contributions[1, 1])
    gap = np.abs(found.sum() + found.attrs["b"] - found.attrs["y"])
    assert (gap <= m.bound * m.scale).all()
    np.testing.assert_array_equal(m.to_frame("W").to_numpy(), m.W.T)
    with pytest.raises(onnxlin.OptionError, match="'Wx'"):
        m.to_frame("Wx")
    m.save(tmp_path / "m")
    for other in (pickle.loads(pickle.dumps(m)), onnxlin.AffineMap.load(tmp_path / "m")):
        assert other.to_frame().equals(found)


def test_every_engine_and_map_has_them() -> None:
    lin = onnxlin.Linearizer(told(features=FEATURES, classes=CLASSES))
    for engine in ("reverse", "explicit", "forward", "live", "compiled", "auto"):
        for _ in range(3):  # the first, and those that are answered as the first was
            assert lin(X, engine=engine).features == tuple(FEATURES)
    assert [m.row_names for m in lin.map(X, rows=[1])] == [("dog",)]
    assert lin(X, rows=np.array([[1.0, -1.0]])).row_names == ("combination 0",)


@pytest.mark.parametrize("names", [{}, {"features": ["a"], "classes": ["a", "b", "c"]}])
def test_names_that_do_not_fit_are_none(names: Any) -> None:
    m = onnxlin.linearize(told(**names), X)
    assert m.features == ("x[0,0]", "x[0,1]", "x[0,2]")
    assert m.row_names == ("0", "1")


def test_contributions_carry_names(m: onnxlin.AffineMap) -> None:
    pytest.importorskip("pandas")
    found = contributions(m, [1])
    assert (found.features, found.rows) == (tuple(FEATURES), ("dog",))
    table = found.to_frame()
    np.testing.assert_array_equal(table["dog"], m.contributions[1])
    gap = table["dog"].sum() + table.attrs["rest"][0] - table.attrs["y"][0]
    assert abs(gap) <= (m.bound * m.scale)[1]
    assert margin(m, 1, 0).to_frame().columns.tolist() == ["dog against cat"]
    assert mean(m).rows == ("mean",)
    against = relative(m, 1.0).to_frame()
    np.testing.assert_allclose(against["cat"], m.W[0] * (m.x - 1))
    assert list(against.index) == FEATURES


def test_data_sets_of_xarray(m: onnxlin.AffineMap) -> None:
    pytest.importorskip("xarray")
    found = m.to_xarray()
    assert found.W.dims == ("output", "feature")
    np.testing.assert_array_equal(found.W.sel(output="dog", feature="weight"), m.W[1, 2])
    gap = np.abs((found.W * found.x).sum("feature") + found.b - found.y)
    assert (gap <= m.bound * m.scale).all()
    np.testing.assert_allclose(found.ledger.sum("node"), m.b)
    assert list(found.ledger.node.values) == list(m.bias_by_node)
    assert found.attrs["mode"] == "tangent"


def test_axes_of_several_inputs_and_of_pictures() -> None:
    pytest.importorskip("xarray")
    proto = model(PICTURE)
    x = {"image": np.ones((1, 3, 4, 5), np.float32), "more": np.ones(2, np.float32)}
    m = onnxlin.linearize(proto, x)
    found = m.to_xarray()
    assert found["W:image"].dims == ("output", "image_1", "image_2", "image_3")
    assert found["x:more"].dims == ("more_0",)
    assert m.features[0] == "image[0,0,0,0]"
    assert m.features[-1] == "more[1]"
    np.testing.assert_array_equal(found["W:image"].values.reshape(3, -1), m.W[:, :60])
    alone = onnxlin.linearize(proto, x, inputs="image").to_xarray()
    assert alone.W.dims == ("output", "channel", "row", "column")


def test_a_missing_package_is_named(m: onnxlin.AffineMap, monkeypatch: Any) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(tables, "import_module", absent)
    for call, package in ((m.to_frame, "pandas"), (m.to_xarray, "xarray")):
        with pytest.raises(onnxlin.OnnxlinError, match=rf'{package}: pip install "onnxlin\[data'):
            call()
