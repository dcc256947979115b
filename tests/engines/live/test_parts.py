"""Rows in several parts, for the sake of a smaller arena; and charges, a few lines at a time."""

from __future__ import annotations

import importlib
from itertools import pairwise
from math import ceil

import numpy as np
import pytest

import onnxlin
from onnxlin.engines.live.ends import weighed
from tests.engines.live.test_merge import filled, inputs

live = importlib.import_module("onnxlin.engines.live.live")
NET = """g (float[1,8,24,24] x) => (y) <float[32,8,3,3] A, float[32,32,3,3] B, float[32] b> {
    h = Conv<pads=[1,1,1,1]>(x, A, b)  r = Relu(h)
    i = Conv<pads=[1,1,1,1]>(r, B, b)  y = Relu(i) }"""


@pytest.mark.parametrize("touched", [1e4, 1e15])
def test_parts_are_a_choice_of_cost_and_the_map_is_the_same(touched, monkeypatch) -> None:
    """Where fresh memory costs much there are several parts, where it costs nothing one."""
    proto, count = filled(NET), 900
    x, steps = inputs(proto), list[tuple[int, int]]()
    lin = onnxlin.Linearizer(proto)
    monkeypatch.setattr(live, "TOUCHED", touched)
    asked = {"rows": range(count), "dtype": np.float64}
    found = lin(x, **asked, engine="live", progress=lambda *given: steps.append(given))
    W = found.W
    parts = [b - a for a, b in pairwise([0, *(done for done, _ in steps)])]
    assert sum(parts) == count
    assert len(parts) == (1 if touched > 1e9 else live.PARTS)
    assert max(parts) == ceil(count / len(parts))
    other = lin(x, **asked, engine="reverse")
    np.testing.assert_allclose(W, other.W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.b, other.b, rtol=1e-9, atol=1e-12)


def test_few_rows_are_one_part(monkeypatch) -> None:
    monkeypatch.setattr(live, "TOUCHED", 1.0)
    steps = list[tuple[int, int]]()
    proto = filled(NET)
    lin, few = onnxlin.Linearizer(proto), live.FEWEST
    found = lin(inputs(proto), range(few), engine="live", progress=lambda *at: steps.append(at))
    assert len(found.W) == few
    assert steps == [(few, few)]


@pytest.mark.parametrize("some", [1.0, 0.3])
def test_charges_lose_no_more_than_their_lines_have(some) -> None:
    """Against float64 throughout, by what is added up: within a few roundings of one part."""
    rng = np.random.default_rng(3)
    G = rng.normal(size=(20_000, 50)).astype(np.float32)
    bias = rng.normal(size=len(G)).astype(np.float32) * (rng.random(len(G)) < some)
    found, exact = weighed(bias, G), bias.astype(np.float64) @ G.astype(np.float64)
    assert found.dtype == np.float64
    size = np.abs(bias).astype(np.float64) @ np.abs(G).astype(np.float64)
    assert (np.abs(found - exact) <= np.finfo(np.float32).eps * size).all()
