"""What is handed to shap adds up to F(x)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, Linearizer, linearize
from onnxlin.readings.row.shap import explanation
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close
from tests.small import X, mlp


@dataclass
class Stub:
    """What shap.Explanation is given, by the names of its own arguments (shap 0.51)."""

    values: Any
    base_values: Any = None
    data: Any = None
    feature_names: Any = None
    output_names: Any = None


@pytest.fixture(autouse=True, scope="module")
def _stub() -> Any:
    """A stand-in: the tests do not need the package."""
    module = ModuleType("shap")
    module.Explanation = Stub
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "shap", module)
        yield


@given(onnx_models(), st.booleans(), st.integers(0, 99))
def test_values_and_base_values_add_up(grown: GrownModel, with_baseline: bool, seed: int) -> None:
    m = linearize(grown.model, grown.x)
    x0 = np.random.default_rng(seed).normal(size=m.x.size) if with_baseline else None
    found = explanation(m, x0)
    many = len(m.rows) != 1
    values = found.values[0] if many else found.values[0][:, None]
    assert values.shape == (len(m.x), len(m.rows))
    moved = m.scale + np.abs(m.W.astype(np.float64)) @ np.abs(m.x if x0 is None else x0)
    slack = m.bound * m.scale + 1e-14 * len(m.x) * moved
    assert (np.abs(values.sum(axis=0) + found.base_values[0] - m.y) <= slack).all()
    if x0 is None:
        np.testing.assert_array_equal(np.atleast_1d(found.base_values[0]), m.b)
        np.testing.assert_array_equal(values, m.W.T.astype(np.float64) * m.x[:, None])


def test_several_samples_and_names() -> None:
    lin = Linearizer(mlp())
    found = explanation(lin.map(np.concatenate([X, 2 * X])), names="abc", labels=["no", "yes"])
    assert found.values.shape == (2, 3, 2)
    assert found.base_values.shape == (2, 2)
    assert (found.feature_names, found.output_names) == (["a", "b", "c"], ["no", "yes"])
    np.testing.assert_array_equal(found.data, np.concatenate([X, 2 * X]))
    single = explanation(lin(X, rows=[1]), X, labels=["yes"])
    assert single.output_names == "yes"
    assert single.values.tolist() == [[0, 0, 0]]
    m = lin(X, rows=[1])
    assert_close(single.base_values, m.y, m.bound * m.scale)


def test_a_sum_that_does_not_close_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted bug: a base value that forgets W x0."""
    m = linearize(mlp(), X)
    monkeypatch.setattr(AffineMap, "__call__", lambda self, x: self.b)
    with pytest.raises(onnxlin.ResidualError, match=r"base value of row \d add up to .*F\(x\) ="):
        explanation(m, np.ones(3))


def test_refused() -> None:
    m = linearize(mlp(), X)
    with pytest.raises(onnxlin.InputError, match="baseline has 4 entries; the map takes 3"):
        explanation(m, np.zeros(4))
    with pytest.raises(onnxlin.InputError, match="maps holds no map"):
        explanation([])


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(onnxlin.OnnxlinError, match="needs the shap package: pip install shap"):
        explanation(linearize(mlp(), X))
