"""The engine on live entries: products in place, what is dead, and blocks of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin.engines.live.gemm import Product
from onnxlin.engines.live.live import Plan
from tests.small import model

sizes = st.integers(1, 4)


@given(sizes, sizes, sizes, st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_products_are_added_in_place(m, k, n, turned, dtype) -> None:
    """Of lines of larger arrays, and of single ones, whose strides NumPy leaves to chance."""
    rng = np.random.default_rng(m * 16 + k * 4 + n)
    a = rng.integers(-3, 4, (k, m) if turned else (m, k)).astype(dtype)
    b, c = (rng.integers(-3, 4, (rows + 2, n)).astype(dtype) for rows in (k, m))
    turns = [a, np.ascontiguousarray(a.T).T] if 1 in a.shape else [a]
    for given_a in turns:
        found = c.copy()
        Product(np.dtype(dtype))(given_a, b[1 : k + 1], found[1 : m + 1], turned=turned)
        expected = c.copy()
        expected[1 : m + 1] += (a.T if turned else a) @ b[1 : k + 1]
        np.testing.assert_array_equal(found, expected)


def test_what_no_row_sees_is_dead() -> None:
    made = model("g (float[4] x) => (y) { h = Relu(x)  z = Neg(h)  y = Sin(z) }")
    m = onnxlin.linearize(made, np.array([1, -1, 2, -2], np.float32), rows=[0, 1], engine="live")
    job = m.made_from("a test").job
    places = Plan(job.program, job.seeds).places
    assert places["h"].flat.tolist() == [0]
    assert places["y"].flat.tolist() == [0]
    assert m.verify().W.tolist() == pytest.approx(np.array([[-np.cos(1), 0, 0, 0], [0] * 4]))


def test_blocks_of_rows_make_the_same_map(fixtures: Path) -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    lin = onnxlin.Linearizer(fixtures / "lenet5_mnist.onnx")
    whole = lin(x, engine="live", dtype=np.float64)
    needed = whole.memory_needed
    job = whole.made_from("a test").job
    a_row = Plan(job.program, job.seeds).a_row
    tight = onnxlin.Linearizer(fixtures / "lenet5_mnist.onnx", memory=needed - 7 * a_row)
    parts = tight(x, engine="live", dtype=np.float64).verify()
    np.testing.assert_allclose(parts.W, whole.W, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(parts.b, whole.b, rtol=1e-12)
    none = onnxlin.Linearizer(fixtures / "lenet5_mnist.onnx", memory=needed - 11 * a_row)
    with pytest.raises(onnxlin.MemoryBudgetError, match="raise memory="):
        none(x, engine="live", dtype=np.float64).W  # noqa: B018
