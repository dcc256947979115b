"""The laws are themselves tested: each planted bug must be caught, by a drawn example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st

from onnxlin.primitives import (
    Along,
    Broadcast,
    Chain,
    Conv,
    Crop,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Select,
    Sum,
    Transpose,
)
from tests import checks
from tests.strategies import linear_maps

Array = Any
SEARCH = settings(
    max_examples=2000,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def assigns(op: Select, y: Array) -> Array:
    """Where indices repeat, the last one wins instead of adding."""
    x = np.zeros((len(y), op.columns), y.dtype)
    kept = op.index.ravel() >= 0
    x[:, op.index.ravel()[kept]] = y.reshape(len(y), -1)[:, kept] if op.rows else 0
    return x.reshape(len(y), *op.in_shape)


def reads_last(op: Select, x: Array) -> Array:
    """-1 reads the last entry, as NumPy does, instead of 0."""
    if not op.columns:
        return true_select_matvec(op, x)
    flat = x.reshape(len(x), op.columns)
    return flat[:, op.index.ravel()].reshape(len(x), *op.out_shape)


def unflipped(op: Conv, y: Array) -> Array:
    """The adjoint of the kernel read backwards."""
    flipped = op.weight[(..., *(slice(None, None, -1) for _ in op.weight.shape[2:]))]
    geometry = (op.strides, op.dilations, op.begin, op.end, op.group)
    return true_conv_rmatvec(Conv(op.in_shape, op.out_shape, flipped.copy(), *geometry), y)


def ungrouped(op: Conv, y: Array) -> Array:
    """The groups in the wrong order."""
    m = op.out_shape[1] // op.group
    order = np.arange(op.out_shape[1]).reshape(op.group, m)[::-1].ravel()
    return true_conv_rmatvec(op, y[:, :, order])


def off_by_one(op: Crop, y: Array) -> Array:
    """Put back one place too far along the last axis."""
    return np.roll(true_crop_rmatvec(op, y), 1, axis=-1)


def forward_only(op: Crop, x: Array) -> Array:
    """Negative steps taken as positive ones from the same end."""
    return np.flip(true_crop_matvec(op, x), axis=tuple(range(1, x.ndim)))


def forgets_factor(op: Broadcast, y: Array) -> Array:
    """A mean where a sum is due."""
    return true_broadcast_rmatvec(op, y) / max(op.fan_out, 1)


def untransposed(op: MatMul, y: Array) -> Array:
    """``y @ matrix`` for square matrices, which has the right shape."""
    if op.matrix.shape[-1] == op.matrix.shape[-2]:
        return true_matmul_rmatvec(MatMul(op.in_shape, op.out_shape, op.matrix.mT, op.left), y)
    return true_matmul_rmatvec(op, y)


def untransposed_along(op: Along, y: Array) -> Array:
    """The matrix instead of its transpose, for square ones."""
    if op.matrix.shape[0] == op.matrix.shape[1]:
        return op.matvec(y)
    return true_along_rmatvec(op, y)


def same_permutation(op: Transpose, y: Array) -> Array:
    """The permutation instead of its inverse, where the shape allows it."""
    x = y.transpose(0, *(p + 1 for p in op.perm))
    return x if x.shape[1:] == op.in_shape else true_transpose_rmatvec(op, y)


def twice(op: Diagonal, y: Array) -> Array:
    """The scale squared."""
    return y * op.scale * op.scale


def fortran(op: Reshape, y: Array) -> Array:
    """The other order of entries."""
    return y.reshape(len(y), *op.in_shape, order="F")


def wrong_order(op: Chain, y: Array) -> Array:
    """Adjoints in the order of the maps, where the shapes allow it."""
    if len({op.rows, *(inner.columns for inner in op.maps)}) > 1:
        return true_chain_rmatvec(op, y)
    for inner in op.maps:
        y = inner.rmatvec(y.reshape(len(y), *inner.out_shape))
    return y.reshape(len(y), *op.in_shape)


def first_only(op: Sum, y: Array) -> Array:
    """The first map alone."""
    return op.maps[0].rmatvec(y)


def flattened(op: LinearMap, x: Array) -> Array:
    """The right numbers in the wrong shape, which a dot-test on flat arrays would not see."""
    return true_select_matvec(op, x).reshape(len(x), op.rows)


true_conv_rmatvec = Conv.rmatvec
true_crop_rmatvec, true_crop_matvec = Crop.rmatvec, Crop.matvec
true_broadcast_rmatvec, true_matmul_rmatvec = Broadcast.rmatvec, MatMul.rmatvec
true_along_rmatvec, true_transpose_rmatvec = Along.rmatvec, Transpose.rmatvec
true_chain_rmatvec, true_select_matvec = Chain.rmatvec, Select.matvec

WRONG_VALUES: list[tuple[type[LinearMap], str, Callable[..., Array]]] = [
    (Select, "rmatvec", assigns),
    (Select, "matvec", reads_last),
    (Select, "matvec", flattened),
    (Conv, "rmatvec", unflipped),
    (Conv, "rmatvec", ungrouped),
    (Crop, "rmatvec", off_by_one),
    (Crop, "matvec", forward_only),
    (Broadcast, "rmatvec", forgets_factor),
    (MatMul, "rmatvec", untransposed),
    (Along, "rmatvec", untransposed_along),
    (Transpose, "rmatvec", same_permutation),
    (Diagonal, "rmatvec", twice),
    (Reshape, "rmatvec", fortran),
    (Chain, "rmatvec", wrong_order),
    (Sum, "rmatvec", first_only),
]
WRONG_BOUNDS = [
    (Along, "fan_in", 1),
    (Broadcast, "fan_out", 1),
    (Select, "fan_out", 1),
    (Conv, "fan_out", 1),
    (Conv, "fan_in", 1),
    (MatMul, "fan_in", 1),
    (MatMul, "fan_out", 1),
]


def breaks_dot_test(drawn: tuple[LinearMap, int]) -> bool:
    """Whether random x and y tell the adjoint from the map."""
    op, seed = drawn
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (2, *op.in_shape)).astype(float)
    y = rng.integers(-3, 4, (2, *op.out_shape)).astype(float)
    return breaks(lambda: checks.assert_dot_test(op, x, y))


def breaks(law: Callable[[], None]) -> bool:
    """Whether a law is broken."""
    try:
        law()
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(("kind", "method", "bug"), WRONG_VALUES)
def test_dot_test_catches(
    kind: type[LinearMap], method: str, bug: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, method, bug)
    find(st.tuples(linear_maps(kind), st.integers(0, 99)), breaks_dot_test, settings=SEARCH)


# The views are flat themselves: wrong shapes of the right size are the dot-test's to catch.
@pytest.mark.parametrize(
    ("kind", "method", "bug"), [planted for planted in WRONG_VALUES if planted[2] is not flattened]
)
def test_three_views_catch(
    kind: type[LinearMap], method: str, bug: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, method, bug)
    find(
        linear_maps(kind),
        lambda op: breaks(lambda: checks.assert_three_views(op)),
        settings=SEARCH,
    )


@pytest.mark.parametrize(("kind", "name", "value"), WRONG_BOUNDS)
def test_bounds_catch(
    kind: type[LinearMap], name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, name, value)
    find(linear_maps(kind), lambda op: breaks(lambda: checks.assert_bounds(op)), settings=SEARCH)


@pytest.mark.parametrize("kind", [Diagonal, Along, Conv, MatMul])
def test_absolute_catches(kind: type[LinearMap], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "absolute", lambda op: op)
    find(linear_maps(kind), lambda op: breaks(lambda: checks.assert_absolute(op)), settings=SEARCH)


def test_dtype_catches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Diagonal, "matvec", lambda op, x: (x * op.scale).astype(np.float64))
    op = Diagonal.of((2,), np.ones(2, np.float32))
    with pytest.raises(AssertionError):
        checks.assert_dtype(op, np.dtype(np.float32), 1)


def test_dot_test_prints_both_numbers() -> None:
    op = Diagonal.of((1,), np.array([2.0]))
    object.__setattr__(op, "rmatvec", lambda y: 3 * y)
    with pytest.raises(AssertionError, match=r"<y, A x> = 2\.0 but <A\* y, x> = 3\.0"):
        checks.assert_dot_test(op, np.ones((1, 1)), np.ones((1, 1)))


def test_dot_test_prints_both_shapes() -> None:
    op = Diagonal.of((2, 1), np.array([2.0]))
    object.__setattr__(op, "matvec", lambda x: x[..., 0])
    with pytest.raises(AssertionError, match=r"matvec returned shape \(1, 2\), expected \(1, 2, 1"):
        checks.assert_dot_test(op, np.ones((1, 2, 1)), np.ones((1, 2, 1)))
