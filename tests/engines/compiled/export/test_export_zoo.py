"""Any folder of models, compiled: set ONNXLIN_ZOO to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from tests.engines.compiled.exported import elsewhere, run, session
from tests.proofs import instance
from tests.test_zoo import LIGHT, LOSES_DIGITS, ZOO, ids

pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")
ROWS = 3


def answer(made: onnx.ModelProto, x: dict[str, Any], given: np.ndarray) -> dict[str, np.ndarray]:
    return run(session(made), {**x, made.graph.input[-1].name: given})


@pytest.mark.parametrize("path", LIGHT, ids=ids(LIGHT))
def test_compiled_zoo_model(path: Path) -> None:
    """At an x that the file was not compiled at: F(x) = W x + b, and W is one in both directions.

    Rounding is bounded by what it can do to W x + b; for the tangent x, that is what both give.
    """
    model = onnx.load(path)
    at, x = instance(model, seed=1), elsewhere(instance(model, seed=0), seed=2)
    try:
        adjoint = onnxlin.compile_model(path, x=at, shares=True)
    except onnxlin.CompileError as error:
        pytest.skip(str(error))
    onnx.checker.check_model(adjoint, full_check=True)
    n = onnxlin.Linearizer(model).run(x)
    count = sum(y.size for y in n.values())
    rows = np.unique(np.linspace(0, count - 1, ROWS).astype(int))
    m = onnxlin.linearize(model, x, rows=rows, engine="reverse")
    seeds = np.eye(count, dtype=m.W.dtype)[rows]
    found = answer(adjoint, x, seeds)
    y = np.concatenate([found[name].ravel() for name in m.outputs]).astype(np.float64)[rows]
    # Where a body stands in for its node, the arithmetic is another.
    assert (np.abs(y - m.y) <= m.bound * m.scale).all()
    if path.stem in LOSES_DIGITS:
        return
    # b is summed in the model's precision here, and coefficients are computed apart.
    slack = 2 * m.bound * m.scale + float(np.finfo(m.dtype).eps) * len(m.bias_by_node) * m.scale
    Wx = found["seeds_W"].astype(np.float64) @ m.x
    assert (np.abs(Wx + found["seeds_b"] - y) <= slack).all()
    total = found["shares"].sum(axis=1, dtype=np.float64)
    assert (np.abs(total - found["seeds_b"]) <= slack).all()
    tangent = onnxlin.compile_model(path, x=at, direction="tangent")
    onnx.checker.check_model(tangent, full_check=True)
    column = answer(tangent, x, m.x[None].astype(m.dtype))["W_tangents"][0].astype(np.float64)
    assert (np.abs(column[rows] - Wx) <= 2 * slack).all()
