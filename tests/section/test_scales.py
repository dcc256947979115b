"""Where rounding leaves the slope of scales alone, the notes say so and what to ask instead."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from tests.small import model

DYNAMIC = """g (float[2,3] x) => (float[2,2] y)
    <uint8[3,2] w = {130,120,128,140,100,129}, uint8 zero = {128}, float step = {0.5}> {
    q, s, z = DynamicQuantizeLinear(x)  m = MatMulInteger(q, w, z, zero)
    f = Cast<to = 1>(m)  t = Mul(s, step)  y = Mul(f, t) }"""
STATIC = """g (float[2,3] x) => (float[2,3] y) <float s = {0.5}, uint8 z = {128}> {
    q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  y = Add(d, x) }"""
X = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])


def test_a_slope_of_scales_points_to_straight_through() -> None:
    m = onnxlin.linearize(model(DYNAMIC), X).verify()
    (note,) = m.notes
    assert "W is the slope of these scales" in note
    assert 'rounding="straight-through"' in note
    assert note in onnxlin.check_model(model(DYNAMIC)).notes
    # The largest and the smallest entry say how large a step is: no other has weight.
    assert not m.W[:, [0, 2, 3, 5]].any()
    through = onnxlin.linearize(model(DYNAMIC), X, rounding="straight-through").verify()
    assert through.notes == ()
    assert through.W.any(axis=0).all()


@pytest.mark.parametrize("rounding", ["staircase", "straight-through"])
def test_scales_of_the_file_have_no_slope(rounding: str) -> None:
    assert onnxlin.linearize(model(STATIC), X, rounding=rounding).verify().notes == ()
