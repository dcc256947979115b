from __future__ import annotations

import numpy as np
import pytest

from tests.rules.one_node import assert_reproduces, assert_tangent, frozen, grid, model

RNG = np.random.default_rng(0)
Z = grid(RNG, 2, 3, 2)
POSITIVE = np.abs(Z)
AXES = [None, [], [1], [0, -1]]
OPERATORS = [
    "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd",
]  # fmt: skip


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op", OPERATORS)
def test_reductions(op: str, keepdims: int, axes: list[int] | None) -> None:
    z = POSITIVE if op == "ReduceLogSum" else Z
    held = {} if axes is None else {1: np.array(axes, np.int64)}
    one = model(op, [z], held, keepdims=keepdims)
    assert_reproduces(one, [z])
    assert_tangent(one, [z])


@pytest.mark.parametrize("op", OPERATORS)
def test_frozen_against_twins(op: str) -> None:
    z = POSITIVE if op == "ReduceLogSum" else Z
    W, b = frozen(model(op, [z], {1: np.array([1])}, keepdims=0), [z])
    wanted, held = np.zeros((4, 12)), np.zeros(4)
    for row, (i, k) in enumerate(np.ndindex(2, 2)):
        line = z[i, :, k].astype(np.float64)
        for j, entry in enumerate(line):
            weights = {
                "ReduceL1": np.sign(entry),
                "ReduceL2": entry / np.sqrt((line**2).sum()),
                "ReduceSumSquare": entry,
                "ReduceProd": np.prod(np.delete(line, j)) / 3,
            }
            wanted[row, np.ravel_multi_index((i, j, k), z.shape)] = weights.get(op, 0)
        logs = {"ReduceLogSum": np.abs(line).sum(), "ReduceLogSumExp": np.exp(line).sum()}
        held[row] = np.log(logs.get(op, 1.0))
    np.testing.assert_allclose(W, wanted, rtol=1e-13)
    np.testing.assert_allclose(b, held, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("zeros", [1, 2])
def test_products_with_zeros(zeros: int) -> None:
    z = np.array([[2, 3, 5]], np.float32)
    z[0, :zeros] = 0
    one = model("ReduceProd", [z], {1: np.array([1])})
    assert_reproduces(one, [z])
    assert_tangent(one, [z])


def test_length_at_zero_is_the_zero_map() -> None:
    z = np.zeros((1, 3), np.float32)
    one = model("ReduceL2", [z], {1: np.array([1])})
    assert_reproduces(one, [z])
    assert not frozen(one, [z])[0].any()
