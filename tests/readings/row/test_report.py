"""The report is plain data, and what it says is what the map says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, linearize
from onnxlin.readings import ledger, report
from onnxlin.readings.row import report as entries
from onnxlin.testing import GrownModel, onnx_models
from tests.small import X, mlp

KEYS = {"format", "version", "inputs", "outputs", "map", "rows", "residual", "kinks", "explained"}


def assert_plain(data: Any) -> None:
    """Numbers, text, lists and dicts alone, none of them NumPy's."""
    if isinstance(data, dict):
        assert all(type(key) is str for key in data)
        data = list(data.values())
    if isinstance(data, list):
        for item in data:
            assert_plain(item)
    else:
        assert data is None or type(data) in (bool, int, float, str)


@given(onnx_models(), st.sampled_from(["tangent", "frozen"]))
def test_every_map_has_a_report(grown: GrownModel, mode: str) -> None:
    m = linearize(grown.model, grown.x, mode=mode)
    found = report(m, top=3)
    assert_plain(found)
    assert set(found) == KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for name, values in {"F": m.y, "Wx": m.Wx, "b": m.b, "bound": m.bound}.items():
        assert [row[name] for row in found["rows"]] == values.tolist()
    for item in found["explained"]:
        assert len(item["features"]) <= 3
        for feature in item["features"]:
            column = feature["column"]
            assert feature["contribution"] == float(m.W[item["position"], column]) * m.x[column]
            assert m.inputs[feature["tensor"]][tuple(feature["index"])] == feature["x"]
        for share in item["biases"]:
            assert share["value"] == m.bias_by_node[share["node"]][item["position"]]


def test_labels_and_rows() -> None:
    m = linearize(mlp(), X, rows=[1])
    (row,) = report(m, labels=["cat", "dog"])["rows"]
    assert (row["output"], row["label"]) == (1, "dog")
    (row,) = report(linearize(mlp(), X, rows=np.array([[1, -1]])))["rows"]
    assert (row["output"], row["label"]) == (None, "combination 0")


@given(onnx_models())
def test_the_b_of_a_row_by_kind_is_that_of_the_ledger(grown: GrownModel) -> None:
    m = linearize(grown.model, grown.x)
    told = entries.ledger(m, range(len(m.rows)))
    assert_plain(told)
    found = ledger(m)
    for at in range(len(m.rows)):
        kinds = entries.by_kind(told, at)
        assert_plain(kinds)
        assert [kind["kind"] for kind in kinds] == list(found.by_kind)
        assert sum(kind["nodes"] for kind in kinds) == len(found.nodes)
        for kind in kinds:
            # Few shares, summed in another order.
            size = sum(abs(share[at]) for share in found.shares)
            gap = abs(kind["value"] - found.by_kind[kind["kind"]][at])
            assert gap <= 2 * len(found.nodes) * np.finfo(np.float64).eps * size


def test_a_row_has_the_probability_of_its_output() -> None:
    rows = [{"output": 2}, {"output": None}, {"output": 0}]
    for chances, expected in (([0.1, 0.2, 0.7], [0.7, None, 0.1]), (None, [None] * 3)):
        found = entries.with_probabilities(rows, chances)
        assert [row["probability"] for row in found] == expected


def test_a_loaded_map_has_a_report_but_for_its_program(tmp_path: Path) -> None:
    m = linearize(mlp(), X).verify()
    m.save(tmp_path / "map.npz")
    one, two = report(m), report(AffineMap.load(tmp_path / "map.npz"))
    assert two["kinks"] is two["map"]["status"] is None
    for name in ("rows", "residual", "explained", "inputs", "outputs"):
        assert one[name] == two[name]
    linearize(mlp(), X).save(tmp_path / "bare.npz")
    with pytest.raises(onnxlin.DetachedError, match="bound needs the linear program"):
        report(AffineMap.load(tmp_path / "bare.npz"))
