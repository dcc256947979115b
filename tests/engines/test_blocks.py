"""How many rows of W are in memory at once, and how blocks are put together."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlin.engines.blocks import Blocks, block_of, together
from onnxlin.engines.job import Columns, Solution, total
from onnxlin.engines.seeds import make_seeds


@pytest.mark.parametrize(
    ("asked", "left", "most", "expected"),
    [
        (1000, 10**9, 64, 64), (1000, 10**9, 1000, 1000), (10, 10**9, 64, 10),
        (1000, 2 * 100 * 200, 1000, 192), (1000, 2 * 100 * 63, 64, 56), (1000, 2 * 100 * 5, 64, 5),
        (1000, 0, 64, 1), (1000, -5, 64, 1), (0, 10**9, 64, 1), (100, 10**9, 100, 100),
    ],
)  # fmt: skip
def test_half_of_what_is_left_in_whole_groups(asked, left, most, expected) -> None:
    assert block_of(asked, left, 100, most, lambda _: True) == expected


def test_a_block_that_an_engine_cannot_compute_is_halved() -> None:
    asked: list[int] = []

    def fits(count: int) -> bool:
        asked.append(count)
        return count <= 40

    assert block_of(1000, 10**9, 100, 1000, fits) == 24
    assert asked == [1000, 500, 250, 125, 62, 31]
    assert block_of(1000, 10**9, 100, 64, lambda _: False) == 1


def test_blocks_cover_the_rows_and_tell_how_far_they_are() -> None:
    told: list[tuple[int, int]] = []
    seen: list[list[int]] = []

    def solve(seeds, progress) -> Solution:
        seen.append(seeds.index.tolist())
        progress(1, 2)
        progress(2, 2)
        return Solution(seeds.dense(slice(None), np.dtype(np.float32)), {})

    seeds = make_seeds([4, 3, 2, 1, 0], 5)
    blocks = Blocks(solve, seeds, 2, 5, np.dtype(np.float32), lambda *at: told.append(at))
    W = np.concatenate([solution.W for solution in blocks])
    np.testing.assert_array_equal(W, np.eye(5)[::-1])
    assert seen == [[4, 3], [2, 1], [0]]
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (4, 5), (5, 5)]
    none = Blocks(lambda seeds, _: Solution(np.zeros((len(seeds), 5)), {}), make_seeds([], 5), 1, 5,
                  np.dtype(np.float32))  # fmt: skip
    assert [len(solution.W) for solution in none] == [0]


def test_shares_are_put_below_each_other() -> None:
    """A node that brings nothing into a block brings 0 into its rows."""
    one, two = np.ones(2), np.full(1, 2.0)
    found = together([{"a": one}, {"b": two, "a": two}], [2, 1])
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], [1, 1, 2])
    np.testing.assert_array_equal(found["b"], [0, 0, 2])
    graph = together([Columns(("a", "b"), np.eye(2)), Columns(("a", "b"), np.ones((1, 2)))], [2, 1])
    assert isinstance(graph, Columns)
    np.testing.assert_array_equal(total(graph, 3), [1, 1, 2])
    assert together([{}], [0]) == {}
