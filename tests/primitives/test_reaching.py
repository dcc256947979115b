"""What is live is all that a nonzero coefficient leads to, however small or large that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin.primitives import Adjoint, Diagonal, LinearMap, MatMul, Sum, adjoint
from onnxlin.primitives.reaching import reached, reached_back
from tests.strategies import linear_maps


def scaled(op: LinearMap, factor: float) -> LinearMap:
    """The same map with other coefficients, where it has some; 0 stays 0."""

    def times(array: np.ndarray) -> np.ndarray:
        return np.multiply(array, factor, where=array != 0, out=np.zeros_like(array))

    if isinstance(op, Diagonal):
        return Diagonal.of(op.in_shape, times(op.scale))
    if isinstance(op, MatMul):
        return replace(op, matrix=times(op.matrix))
    if isinstance(op, Adjoint):
        return adjoint(scaled(op.base, factor))
    return Sum.of(*(scaled(each, factor) for each in op.maps)) if isinstance(op, Sum) else op


@pytest.mark.parametrize("factor", [1, 1e-300, 1e300, np.inf, np.nan])
@given(linear_maps(), st.integers(0, 99))
def test_whatever_a_coefficient_leads_to_is_live(factor, op, seed) -> None:
    some = abs(op.to_sparse(np.float64)).toarray() != 0
    op, rng = scaled(op, factor), np.random.default_rng(seed)
    for mark, pattern, shape in (
        (reached, some, op.in_shape),
        (reached_back, some.T, op.out_shape),
    ):
        live = rng.random(shape) < 0.6
        found = mark(op, live).ravel()
        assert found[(pattern & live.ravel()).any(axis=1)].all()


@pytest.mark.parametrize("large", [0, 5, 2**22])
@given(linear_maps(), st.integers(0, 99))
def test_matrices_taken_for_full_lose_nothing(large: int, op: LinearMap, seed: int) -> None:
    some = abs(op.to_sparse(np.float64)).toarray() != 0
    live = np.random.default_rng(seed).random(op.out_shape) < 0.6
    found = reached_back(op, live, large).ravel()
    assert found[(some.T & live.ravel()).any(axis=1)].all()


MATRICES = {
    "plain": ((5, 4), (4, 3), False),
    "left": ((4, 5), (3, 4), True),
    "batched": ((2, 5, 4), (2, 4, 3), False),
    "batched, left": ((2, 4, 5), (2, 3, 4), True),
    "spread": ((5, 4), (2, 4, 3), False),
    "spread along an axis, left": ((1, 4, 5), (2, 3, 4), True),
}


@pytest.mark.parametrize("lines", [[0, 1, 2, 3, 4], [3], [1, 4]], ids=["all", "one", "two"])
@pytest.mark.parametrize("kind", MATRICES)
def test_of_products_no_more_is_live(kind: str, lines: list[int]) -> None:
    """Whole lines, as those of a class token: their marks are looked up, or made for them alone."""
    shape, size, left = MATRICES[kind]
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=size) * (rng.random(size) < 0.3)
    matrix[..., 0], matrix[..., 1, :] = 0, 0
    op = MatMul.of(shape, matrix, left=left)
    some = abs(op.to_sparse(np.float64)).toarray() != 0
    assert not some.any(axis=0).all()
    for mark, pattern, given_ in ((reached, some, shape), (reached_back, some.T, op.out_shape)):
        live = np.zeros(given_, bool)
        live[(..., lines) if left else (..., lines, slice(None))] = True
        np.testing.assert_array_equal(mark(op, live).ravel(), pattern @ live.ravel())
