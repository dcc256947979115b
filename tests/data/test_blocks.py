"""Lazy arrays: what a store of the same run has, and nothing before it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxlin
from onnxlin.data.task import Task

pytest.importorskip("dask")
pytest.importorskip("xarray")
pytest.importorskip("zarr")

WHAT = ("contributions", "ledger", "W")


@pytest.fixture
def digits() -> Any:
    found = np.random.default_rng(0).random((23, 1, 28, 28)).astype(np.float32)
    found[4] = np.nan
    return found


@pytest.mark.parametrize("rows", ["predicted", "all", (3, 1)])
def test_blocks_are_what_a_store_has(
    tmp_path: Path, fixtures: Path, digits: Any, rows: Any
) -> None:
    lin = onnxlin.Linearizer(fixtures / "mlp2_mnist.onnx")
    lazy = lin.map_blocks(digits, WHAT, rows, chunk=10)
    onnxlin.data.run(lin, digits, tmp_path / "r.zarr", WHAT, rows, chunk=10)
    stored = onnxlin.data.open(tmp_path / "r.zarr")
    found = lazy.compute(scheduler="synchronous")
    for name in stored.data_vars:
        assert lazy[name].dims == stored[name].dims
        assert lazy[name].dtype == stored[name].dtype
        np.testing.assert_array_equal(found[name].values, stored[name].values)
    assert set(stored.data_vars) | {"error"} == set(lazy.data_vars)
    assert list(lazy.node.values) == list(stored.node.values)
    assert "nan" in found.error.values[4].lower()
    assert (np.delete(found.error.values, 4) == "").all()
    assert lazy.attrs["model_sha256"] == stored.attrs["model_sha256"]


def test_nothing_is_linearised_before_it_is_looked_at(
    fixtures: Path, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[slice] = []
    own = Task.__call__

    def counted(task: Task, at: slice) -> Any:
        done.append(at)
        return own(task, at)

    monkeypatch.setattr(Task, "__call__", counted)
    lin = onnxlin.Linearizer(fixtures / "mlp2_mnist.onnx")
    lazy = lin.map_blocks(digits, WHAT, chunk=10)
    assert not done
    lazy.contributions[12].compute(scheduler="synchronous")
    assert done == [slice(10, 20)]
    lazy[["contributions", "b"]].isel(sample=slice(20, 23)).compute(scheduler="synchronous")
    assert done == [slice(10, 20), slice(20, 23)]  # once for both
