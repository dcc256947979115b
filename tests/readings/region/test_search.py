"""The search for another decision: what it finds is one, and no certificate contradicts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxlin
from onnxlin import Linearizer
from onnxlin.primitives import Array
from onnxlin.readings.region import Region, find_change
from tests.readings.exactly import instance
from tests.small import model

NORMS = {"l1": 1, "l2": 2, "linf": np.inf}
# Two rows that draw level where x0 = x1.
PLAIN = """g (float[1,2] x) => (float[1,2] y) <float[2,2] A = {2, 1, 1, 2}> { y = MatMul(x, A) }"""
STEPS = """g (float[1,4] x) => (float[1,2] y) <float s = {0.125}, uint8 z = {128}, float[4,2] A =
    {1, -1, 2, 0.5, -1, 1, 0.5, -2}> { q = QuantizeLinear(x, s, z)
    d = DequantizeLinear(q, s, z)  y = MatMul(d, A) }"""


def decides(lin: Linearizer, x: Array) -> int:
    return int(lin(x).y.argmax())


@pytest.mark.parametrize("norm", NORMS)
def test_of_an_affine_model_it_is_the_distance(norm: str) -> None:
    """Rows x0 - x1 apart by 1: 1 away in l1, 1 / sqrt(2) in l2, 1 / 2 in linf."""
    lin = Linearizer(model(PLAIN))
    x = np.array([[2, 1]], np.float32)
    found = find_change(lin, x, norm=norm)
    assert found is not None
    assert found.distance == pytest.approx({"l1": 1, "l2": 0.5**0.5, "linf": 0.5}[norm], rel=1e-5)
    assert found.row == 1
    assert decides(lin, found.x.reshape(1, 2).astype(np.float32)) == 1


@pytest.mark.parametrize("name", ["lenet5_mnist", "mlp5_mnist", "cnn_bn_fashion"])
@pytest.mark.parametrize("norm", NORMS)
def test_what_is_found_is_decided_otherwise(name: str, norm: str, fixtures: Path) -> None:
    lin = Linearizer(fixtures / f"{name}.onnx")
    x = instance(lin)
    found = find_change(lin, x, norm=norm)
    assert found is not None
    other = found.x.reshape(x.shape).astype(x.dtype)
    np.testing.assert_array_equal(other.ravel(), found.x)
    assert decides(lin, other) == found.row != decides(lin, x)
    away = np.linalg.norm(found.x - x.ravel().astype(np.float64), ord=NORMS[norm])
    assert found.distance == pytest.approx(away)
    region = Region(lin(x, dtype=np.float64))
    assert region.certificate(norm).radius <= found.distance


def test_where_w_is_zero_rounding_is_seen_through() -> None:
    lin = Linearizer(model(STEPS))
    x = np.array([[1, 0.5, -1, 2]], np.float32)
    assert not lin(x).W.any()
    found = find_change(lin, x)
    assert found is not None
    assert decides(lin, found.x.reshape(1, 4).astype(np.float32)) == found.row != decides(lin, x)
    # Half a step back it still is the decision of x: the way to it has been halved to its end.
    back = x + 0.99 * (found.x.reshape(1, 4) - x)
    assert decides(lin, back.astype(np.float32)) == decides(lin, x)


def test_blind_search_and_no_other_decision() -> None:
    """Comparisons have no slope to follow; a model that always decides alike has no other."""
    jump = """g (float[1,2] x) => (float[1,2] y) <float h = {1.5}, float[1,2] o = {0, 0.5}> {
        c = Less(x, h)  f = Cast <to=1> (c)  y = Sub(f, o) }"""
    lin = Linearizer(model(jump))
    found = find_change(lin, np.array([[1, 1]], np.float32))
    assert found is not None
    assert found.row == 1
    assert found.x[0] >= 1.5
    flat = """g (float[1,2] x) => (float[1,2] y) <float k = {0}, float[1,2] o = {0, 0.5}> {
        f = Mul(x, k)  y = Sub(f, o) }"""
    assert find_change(Linearizer(model(flat)), np.ones((1, 2), np.float32)) is None


def test_hidden_inputs_and_rows() -> None:
    text = """g (float[1,2] x) => (float[1,2] y) <float[2,2] A = {2, 1, 1, 2}> {
        h = Relu(x)  y = MatMul(h, A) }"""
    lin = Linearizer(model(text), inputs="h")
    found = find_change(lin, np.array([[2, 1]], np.float32), np.array([[1.0, 0], [0, 1.0]]))
    assert found is not None
    assert found.distance == pytest.approx(0.5**0.5, rel=1e-5)


def test_progress_and_refusals() -> None:
    lin, x = Linearizer(model(PLAIN)), np.array([[2, 1]], np.float32)
    seen: list[tuple[int, int]] = []
    find_change(lin, x, steps=3, progress=lambda *at: seen.append(at))
    assert all(done <= total == 6 for done, total in seen)
    assert seen
    with pytest.raises(onnxlin.OptionError, match="steps=0; expected at least 1"):
        find_change(lin, x, steps=0)
    with pytest.raises(onnxlin.OptionError, match="norm='l3'"):
        find_change(lin, x, norm="l3")
    with pytest.raises(onnxlin.RowsError, match="There is 1 row; a decision needs two"):
        find_change(lin, x, [0])
