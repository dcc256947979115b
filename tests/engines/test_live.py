"""The engine on live entries: products in place, what is dead, and blocks of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin.engines.confined import threads_of_blas
from onnxlin.engines.live.gemm import Product, alone
from onnxlin.engines.live.plan import Plan
from onnxlin.engines.live.pulls import moves
from onnxlin.primitives import MatMul
from onnxlin.primitives.reaching import reached, reached_back
from tests.small import model

sizes = st.integers(1, 4)


@pytest.mark.parametrize("blas", [True, False])
@given(
    st.tuples(sizes, sizes, sizes) | st.tuples(st.just(1), st.just(1), sizes),
    st.booleans(),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
)
def test_products_are_added_or_put_in_place(blas, shape, fresh, across, dtype) -> None:
    """Of lines of larger arrays, and of single ones, whose strides NumPy leaves to chance."""
    rng, (m, k, n) = np.random.default_rng(shape), shape
    beside = 0 if m == k == 1 else 1
    matrix = rng.integers(-3, 4, (k, m)).astype(dtype)
    G, out = (rng.integers(-3, 4, (rows + 2 * beside, n)).astype(dtype) for rows in (k, m))
    expected = out.copy()
    lines = slice(beside, beside + m)
    made = matrix.T @ G[beside : beside + k]
    expected[lines] = made if fresh else expected[lines] + made
    if fresh:
        out[lines] = np.nan
    product = Product(G, out)
    if not blas:
        product._gemm = None
    matrix = np.asfortranarray(matrix) if across else matrix
    product(matrix, beside, beside + k, beside, beside + m, fresh=fresh, across=across)
    np.testing.assert_array_equal(out, expected)


def test_a_product_of_its_own_thread_leaves_others_as_they_were() -> None:
    known = [ask for ask, _ in threads_of_blas()]
    before = [ask() for ask in known]
    with alone():
        assert [ask() for ask in known] == [1] * len(known)
    assert [ask() for ask in known] == before


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=40), st.booleans())
def test_moves_are_the_sparse_matrix(entries, fresh) -> None:
    """However often a line is sent, and however many arrive at one."""
    source, target = np.array(entries, np.int64).reshape(-1, 2).T
    factor = np.arange(1, len(source) + 1, dtype=np.float32)
    G = np.random.default_rng(0).integers(-3, 4, (5, 3)).astype(np.float32)
    matrix = np.zeros((6, 5), np.float32)
    np.add.at(matrix, (target, source), factor)
    out = np.full((6, 3), np.nan if fresh else 2, np.float32)
    expected = matrix @ G + (0 if fresh else 2)
    moves(source, target, factor, 5, 6)(G, out, fresh=fresh)
    np.testing.assert_array_equal(out, expected)


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


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("back", [False, True])
@given(st.data())
def test_full_lines_are_what_a_product_would_mark(left, back, data) -> None:
    """What is live throughout is marked by the matrix alone."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    matrix = rng.integers(0, 2, (3, 4)) * (rng.random((3, 4)) < 0.4)
    op = MatMul.of((2, 4, 5) if left else (2, 5, 3), matrix.astype(np.float32), left=left)
    live = np.ones(op.out_shape if back else op.in_shape, bool)
    sparse = abs(op.to_sparse())
    flat = (sparse.T if back else sparse) @ live.ravel().astype(float) > 0
    found = (reached_back if back else reached)(op, live)
    np.testing.assert_array_equal(found.ravel(), flat)
