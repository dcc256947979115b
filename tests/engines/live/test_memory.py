"""What the live engine takes is what it estimates, whatever kinds of maps it goes through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin.engines.seeds import make_seeds
from tests.engines.live.test_merge import filled, inputs
from tests.engines.test_memory import SLACK, taken

KINDS = {
    # A matrix along an axis is multiplied as a whole, dead entries and all.
    "running sums": """g (float[1,40,200] x) => (y) <int64 axis = {2}> {
        h = Relu(x)  c = CumSum(h, axis)  y = Tanh(c) }""",
    # Many outputs, of which few rows are asked.
    "neighbours": "g (float[1,24,20,20] x) => (y) { y = LRN<size=5>(x) }",
    "products": """g (float[4,40,30] x) => (y) {
        t = Transpose<perm=[0,2,1]>(x)  y = MatMul(x, t) }""",
    "groups": """g (float[1,32,16,16] x) => (y) <float[32,8,3,3] A> {
        h = Conv<group=4, pads=[1,1,1,1]>(x, A)  y = Relu(h) }""",
}


@pytest.mark.parametrize("combined", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_estimate_is_what_is_taken(kind, combined) -> None:
    proto = filled(KINDS[kind])
    lin, x = onnxlin.Linearizer(proto), inputs(proto)
    size = sum(y.size for y in lin.run(x).values())
    rows = np.random.default_rng(0).normal(size=(400, size)) if combined else range(800)
    m = lin(x, rows, engine="live")
    beyond = m.memory_needed - m.made_from("a test").job.held
    most = taken(lambda: m.W)
    assert beyond / 4 <= most + SLACK
    assert most <= 1.2 * beyond + SLACK


@given(st.data(), st.sampled_from([np.float32, np.float64]))
def test_seeds_of_some_outputs_are_lines_of_all(data, dtype) -> None:
    n = data.draw(st.integers(1, 150))
    rng = np.random.default_rng(n)
    listed = st.lists(st.integers(-n, n - 1), max_size=5)
    rows = data.draw(listed | st.none() | st.just(rng.normal(size=(3, n))))
    seeds = make_seeds(rows, n)
    some = slice(data.draw(st.integers(0, 2)), data.draw(st.integers(2, 6)))
    outputs = np.flatnonzero(rng.random(n) < 0.7)
    found = seeds.lines(some, outputs, np.dtype(dtype))
    assert found.flags.c_contiguous
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, seeds.dense(some, np.dtype(dtype))[:, outputs].T)
