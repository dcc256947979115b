"""The same nets from two exporters: set ONNXLIN_ZOO to a folder of models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer
from onnxlin.readings import compare
from tests.proofs import instance
from tests.test_zoo import ROWS, TWINS, ZOO, ids

pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")


@pytest.mark.parametrize("path", TWINS, ids=ids(TWINS))
def test_both_exporters_wrote_the_same_map(path: Path) -> None:
    """Hardly a name is the same, and every difference is within rounding."""
    one, other = onnx.load(path), onnx.load(path.with_name(path.name.replace(".ts.", ".dyn.")))
    x, a = instance(one, seed=0), Linearizer(one)
    count = sum(y.size for y in a.run(x).values())
    rows = np.linspace(0, count - 1, ROWS).astype(int) if count > ROWS else None
    c = compare(a, other, x, rows=rows)
    assert c.same, str(c)
    assert c.departure is None
    assert any(row.W_sizes[0] > 0 for row in c.rows)


@pytest.mark.parametrize("path", TWINS, ids=ids(TWINS))
def test_another_model_than_the_exporters_is_found(path: Path) -> None:
    """One weight of the second file moved by a hundredth, at random: layers see no common shift."""
    one, other = onnx.load(path), onnx.load(path.with_name(path.name.replace(".ts.", ".dyn.")))
    weights = [t for t in other.graph.initializer if len(t.dims) >= 2 and t.data_type == 1]
    weights = [t for t in weights if onnx.numpy_helper.to_array(t).any()]
    if not weights:
        pytest.skip("no weights: an activation alone")
    array = onnx.numpy_helper.to_array(weights[-1])
    noise = np.random.default_rng(0).normal(size=array.shape)
    array = (array + 0.01 * np.abs(array).max() * noise).astype(np.float32)
    weights[-1].CopyFrom(onnx.numpy_helper.from_array(array, weights[-1].name))
    x, a = instance(one, seed=0), Linearizer(one)
    count = sum(y.size for y in a.run(x).values())
    rows = np.linspace(0, count - 1, ROWS).astype(int) if count > ROWS else None
    assert not compare(a, other, x, rows=rows).same
