"""Merged pools whose winners all lie on one side: what their pixels see begins behind them."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from tests.engines.live.test_merge import PLAN, assert_same, ends, filled, forced, inputs, plan_of

POOLS = {
    "plain": "MaxPool<kernel_shape=[2,3], strides=[2,3]>",
    "overlapping": "MaxPool<kernel_shape=[3,3], strides=[1,1]>",
    "whole": "MaxPool<kernel_shape=[11,12]>",
    "padded": "MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>",
}
AFTER = {
    "end": "y = Flatten(p)",
    "conv": "q = Conv<pads=[1,1,1,1]>(p, B)  y = Flatten(q)",
    "pool": "q = MaxPool<kernel_shape=[1,2], strides=[1,2], pads=[0,1,0,1]>(p)  y = Flatten(q)",
}


@pytest.mark.parametrize("ways", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("first", ["h = Conv(x, A)", "h = Conv<pads=[1,1,1,1]>(x, A)"])
def test_winners_may_all_lie_on_one_side(first, after, pool, ways, monkeypatch) -> None:
    """Of a picture that grows along rows and columns, through weights that are positive."""
    proto = filled(
        f"g (float[1,2,13,14] x) => (y) <float[2,2,3,3] A, float[3,2,2,2] B>"
        f"{{ {first}  r = Relu(h)  p = {POOLS[pool]}(r)  {AFTER[after]} }}"
    )
    weight = proto.graph.initializer[0]
    array = np.abs(onnxlin.graph.tensors.to_array(weight)) + 0.1
    weight.raw_data = array.tobytes()
    x = inputs(proto)["x"] * 1e-3
    x += 5 + np.arange(13)[:, None] * ways[0] / 9 + np.arange(14) * ways[1] / 9
    lin = onnxlin.Linearizer(proto)
    other = lin(x, engine="reverse", dtype=np.float64)
    tried = ends(plan_of(lin(x, engine="live", dtype=np.float64)))
    assert tried
    for end in tried:
        monkeypatch.setattr(PLAN, "best", forced(end))
        m = lin(x, engine="live", dtype=np.float64)
        assert_same(m, other, 1e-12)
        assert m.verify().verdict == "PASS"
