"""What makes a primitive a linear map, held for every one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin.primitives import PRIMITIVES, LinearMap, MatMul, matmul
from tests import checks
from tests.strategies import MAKERS, integers, linear_maps

every_primitive = pytest.mark.parametrize("kind", PRIMITIVES, ids=lambda kind: kind.__name__)


def test_every_primitive_has_a_maker() -> None:
    assert set(MAKERS) == set(PRIMITIVES)


def test_every_subclass_is_listed() -> None:
    ours = {c for c in LinearMap.__subclasses__() if c.__module__.startswith("onnxlin.")}
    assert ours == set(PRIMITIVES)


@every_primitive
@given(data=st.data())
def test_maker_makes_its_primitive(kind: type[LinearMap], data: st.DataObject) -> None:
    assert type(data.draw(linear_maps(kind))) is kind


@every_primitive
@given(data=st.data(), k=st.integers(0, 3))
def test_dot_test(kind: type[LinearMap], data: st.DataObject, k: int) -> None:
    op = data.draw(linear_maps(kind))
    x, y = data.draw(integers(k, *op.in_shape)), data.draw(integers(k, *op.out_shape))
    checks.assert_dot_test(op, x, y)


@every_primitive
@given(data=st.data())
def test_three_views_of_one_matrix(kind: type[LinearMap], data: st.DataObject) -> None:
    checks.assert_three_views(data.draw(linear_maps(kind)))


@every_primitive
@given(data=st.data())
def test_fans_and_nnz_are_bounds(kind: type[LinearMap], data: st.DataObject) -> None:
    checks.assert_bounds(data.draw(linear_maps(kind)))


@every_primitive
@given(data=st.data())
def test_absolute_is_entrywise(kind: type[LinearMap], data: st.DataObject) -> None:
    checks.assert_absolute(data.draw(linear_maps(kind)))


@every_primitive
@given(data=st.data(), k=st.integers(0, 2))
def test_dtype_is_kept(kind: type[LinearMap], data: st.DataObject, k: int) -> None:
    for dtype in (np.float32, np.float64):
        checks.assert_dtype(data.draw(linear_maps(kind, dtype)), np.dtype(dtype), k)


@given(op=linear_maps(), data=st.data(), k=st.integers(0, 3))
def test_laws_hold_for_any_map_turned_round(op: LinearMap, data: st.DataObject, k: int) -> None:
    x, y = data.draw(integers(k, *op.in_shape)), data.draw(integers(k, *op.out_shape))
    checks.assert_dot_test(op, x, y)
    checks.assert_laws(op)


@pytest.mark.parametrize("shape", [(9, 40), (40, 9)])
@pytest.mark.parametrize("turned", [False, True], ids=["C", "F"])
@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
def test_large_matrices_of_another_type_are_multiplied_in_blocks(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], *, turned: bool, left: bool
) -> None:
    monkeypatch.setattr(matmul, "BLOCK", 50)
    rng = np.random.default_rng(0)
    # Whole numbers, whose sums are exact in any order.
    matrix = rng.integers(-9, 9, shape[::-1] if turned else shape).astype(np.float32)
    matrix = matrix.T if turned else matrix
    op = MatMul.of((shape[1], 3) if left else (3, shape[0]), matrix, left=left)
    whole = op.to_sparse(np.float64)
    for k in (7, 1):
        x, y = (rng.integers(-9, 9, (k, *s)).astype(float) for s in (op.in_shape, op.out_shape))
        np.testing.assert_array_equal(op.matvec(x).reshape(k, -1), x.reshape(k, -1) @ whole.T)
        np.testing.assert_array_equal(op.rmatvec(y).reshape(k, -1), y.reshape(k, -1) @ whole)
