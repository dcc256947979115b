"""Attributions, judges and audits of any folder of models: set ONNXLIN_ZOO to one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import Linearizer
from onnxlin.readings import (
    Question,
    audit,
    baselines,
    full_gradient,
    integrated_gradients,
    judge,
    stability,
)
from tests.proofs import instance
from tests.small import zoo

ZOO = os.environ.get("ONNXLIN_ZOO", "")
MODELS = zoo(ZOO)
pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")
# Multiplications of a sweep, beyond which some hundred runs and sweeps take a minute.
MOST = 2 * 10**7


@pytest.mark.parametrize("path", MODELS, ids=[str(path.relative_to(ZOO)) for path in MODELS])
def test_a_second_opinion_of_a_zoo_model(path: Path) -> None:
    model = onnx.load(path)
    if path.stat().st_size > 10**7 or not onnxlin.check_model(model).ok:
        pytest.skip("it cannot be linearised as a whole, or is large")
    q = Question(Linearizer(model), instance(model, seed=0))
    if sum(layer.step.nnz for layer in q.m.layers) > MOST:
        pytest.skip("a sweep takes too long")
    # One by one or many at once: the same F.
    m = q.m
    assert (np.abs(q.F([q.x, q.x]) - q.y) <= 2 * m.bound * m.scale).all()
    found = baselines(q, samples=4, exact=False)
    assert found["gradient x input"].complete
    assert full_gradient(q).complete
    audited = audit(q, m.W[0] * q.x, methods=found)
    assert "W x" in audited.complete
    # With slopes that are all 0 there is nothing to be like.
    if m.W.any() and q.x.any():
        assert audited.exact["W x"].cosine == pytest.approx(1)
        assert audited.nearest[0].agreement.l2 == pytest.approx(0, abs=1e-6)
    table = judge(q, found, steps=3, samples=2, draws=1).table
    assert table["gradient"] == pytest.approx(table["gradient x input"], nan_ok=True, rel=1e-6)
    near = stability(q, shares=(1e-3,), directions=1)
    assert 0 <= near.neighbours[0].flips <= near.units
    assert np.isfinite(near.neighbours[0].W)


@pytest.mark.parametrize("name", ["sklearn-bc_xgb.onnx", "diabetes_xgb.onnx"])
def test_a_path_leads_through_a_tree(name: str) -> None:
    """All of F is jumps there: no feature is given anything."""
    found = [path for path in MODELS if path.name == name]
    if not found:
        pytest.skip("not in this folder")
    model = onnx.load(found[0])
    exact = integrated_gradients(Question(Linearizer(model), instance(model, seed=0)))
    assert exact.complete
    assert not exact.values.any()
