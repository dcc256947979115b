from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from tests.rules.one_node import assert_reproduces, assert_tangent, feeds, frozen, grid, model, run

RNG = np.random.default_rng(0)
Z = grid(RNG, 2, 3, 2)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("flags", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
def test_running(op: str, flags: tuple[int, int], axis: int) -> None:
    held = {1: np.array(axis, np.int64)}
    one = model(op, [Z], held, opset=26, exclusive=flags[0], reverse=flags[1])
    assert_reproduces(one, [Z])
    assert_tangent(one, [Z])


def test_running_product_frozen_takes_equal_shares() -> None:
    z = np.array([2, 3, 5], np.float32)
    W, b = frozen(model("CumProd", [z], {1: np.array(0)}, opset=26), [z])
    np.testing.assert_allclose(W, [[1, 0, 0], [3 / 2, 2 / 2, 0], [5, 10 / 3, 2]], rtol=1e-15)
    np.testing.assert_array_equal(b, 0)
    W, b = frozen(model("CumProd", [z], {1: np.array(0)}, opset=26, exclusive=1), [z])
    np.testing.assert_array_equal(b, [1, 0, 0])


def test_running_product_with_zeros() -> None:
    z = np.array([2, 0, 5, 0, 3], np.float32)
    one = model("CumProd", [z], {1: np.array(0)}, opset=26)
    assert_reproduces(one, [z])
    assert_tangent(one, [z])


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 3, 3), (2, 1, 4, 4)])
def test_determinants(shape: tuple[int, ...]) -> None:
    a = grid(RNG, *shape)
    one = model("Det", [a])
    assert_reproduces(one, [a])
    assert_tangent(one, [a])


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_determinants_of_singular_matrices(rank: int) -> None:
    """Cofactors by minors: the derivative where no inverse exists."""
    # Of so small numbers elimination is exact: else F, which is 0, may be what rounding left of it.
    drawn = np.random.default_rng(rank)
    a = (drawn.integers(-1, 2, (3, rank)) @ drawn.integers(-1, 2, (rank, 3))).astype(np.float32)
    one = model("Det", [a])
    assert_reproduces(one, [a])
    minors = [
        (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a.astype(np.float64), i, 0), j, 1))
        for i in range(3)
        for j in range(3)
    ]
    W = onnxlin.linearize(one, feeds(one, [a]), dtype=np.float64).W
    np.testing.assert_allclose(W.ravel(), minors, atol=1e-13 * (1 + np.abs(a).max()) ** 2)


EQUATIONS = [
    ("ij->ji", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ij->", [(2, 3)]),
    ("...j->...", [(2, 3, 2)]),
    ("ij,jk->ik", [(2, 3), (3, 2)]),
    ("ij,jk", [(2, 3), (3, 2)]),
    ("bij, bjk -> bik", [(2, 2, 3), (2, 3, 2)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (1, 3, 2)]),
    ("i,j->ij", [(2,), (3,)]),
    ("ij,k->i", [(2, 3), (2,)]),
    ("iij,jk->ki", [(2, 2, 3), (3, 2)]),
    ("bnd,bmd,hd->bhnm", [(1, 2, 3), (1, 2, 3), (2, 3)]),
    ("ij,ij,ij->i", [(2, 2), (2, 2), (2, 2)]),
    ("Ba,a->aB", [(2, 3), (3,)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=[e for e, _ in EQUATIONS])
def test_einstein_sums(equation: str, shapes: list[tuple[int, ...]]) -> None:
    values = [grid(RNG, *shape) for shape in shapes]
    one = model("Einsum", values, equation=equation)
    assert_reproduces(one, values)
    assert_tangent(one, values)
    for live in range(len(values)):
        held = {i: v for i, v in enumerate(values) if i != live}
        single = model("Einsum", [values[live]], held, equation=equation)
        assert_reproduces(single, [values[live]])
        np.testing.assert_array_equal(frozen(single, [values[live]])[1], 0)


def test_einstein_sum_frozen_takes_equal_shares() -> None:
    a, b = grid(RNG, 2, 3), grid(RNG, 3, 2)
    W, bias = frozen(model("Einsum", [a, b], equation="ij,jk->ik"), [a, b])
    wanted = np.hstack([np.kron(np.eye(2), b.T), np.kron(a, np.eye(2))]) / 2
    np.testing.assert_allclose(W, wanted, rtol=1e-15)
    np.testing.assert_array_equal(bias, 0)


def test_einstein_sum_broadcasts_axes_of_length_one_as_the_runtime_does() -> None:
    a, b = grid(RNG, 1, 3), grid(RNG, 2, 3)
    one = model("Einsum", [a, b], equation="...j,...j->...")
    np.testing.assert_allclose(run(one, [a, b]), (a * b).sum(axis=1), rtol=1e-6)
    assert_reproduces(one, [a, b])
    assert_tangent(one, [a, b])
