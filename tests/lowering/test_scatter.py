"""Entries added up at positions that a run knows: small and large, and factors that meet them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxlin.lowering import Emitter, Scattered, Stack, Traced
from tests.lowering.test_stack import K, run, whole

LARGE = 2**17


@pytest.mark.parametrize("size", [50, LARGE])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_positions_add_up(size: int, single: bool, dtype: Any) -> None:
    k, n = 1 if single else K, 40
    graph = Emitter(dtype, ["g", "f", "place"], single=single)
    index = np.random.default_rng(1).integers(0, size // 3, (1, n)) * 3
    index[0, -3:] = index[0, 0]
    factor, g = whole(1, size, seed=2).astype(dtype), whole(k, 1, n, seed=3).astype(dtype)
    entries = Stack.of(graph, "g", (1, n))
    stack = Scattered(graph, (1, size), entries, Traced(graph, "place", index), distinct=False)
    by_x = Traced(graph, "f", factor)
    wanted = [s.per_row for s in (stack, stack.negated.times(by_x), stack.times(by_x).plus(stack))]
    found = run(graph, {"g": g, "f": factor, "place": index}, wanted)
    sums = np.zeros((k, 1, size), dtype)
    for row, entry in zip(sums, g, strict=True):
        np.add.at(row[0], index[0], entry[0])
    np.testing.assert_array_equal(found[0], sums)
    np.testing.assert_array_equal(found[1], -sums * factor)
    np.testing.assert_array_equal(found[2], sums * factor + sums)


def test_a_factor_meets_entries_and_not_zeros() -> None:
    """Products are as long as the entries, and of a number at all positions one would do."""
    graph = Emitter(np.float32, ["g", "f", "place"])
    place = Traced(graph, "place", np.array([[4, 0, 4]]))
    stack = Scattered(graph, (1, 9), Stack.of(graph, "g", (1, 3)), place, distinct=False)
    factor = Traced(graph, "f", whole(1, 9))
    product = stack.times(factor)
    assert isinstance(product, Scattered)
    made = next(node for node in graph.nodes if node.op_type == "Gather")
    assert list(made.input) == [graph.nodes[0].output[0], "place"]
    assert not isinstance(stack.times(Traced(graph, "f", whole(1, 1))), Scattered)


def test_a_mask_of_what_a_pool_reads_is_that_of_what_it_makes() -> None:
    graph = Emitter(np.float32, ["g", "z", "r", "y", "place"], single=True)
    graph.add(onnx.helper.make_node("Relu", ["z"], ["r"]))
    pool = {"kernel_shape": [3], "strides": [2]}
    graph.add(onnx.helper.make_node("MaxPool", ["r"], ["y", "place"], **pool))
    z = whole(1, 1, 9, seed=1)
    above = np.maximum(z, 0)
    windows = np.stack([above[0, 0, i : i + 3] for i in range(0, 7, 2)])
    place = (windows.argmax(axis=1) + np.arange(0, 7, 2)).reshape(1, 1, 4)
    mask = (Traced(graph, "z", z) > 0).astype(np.float32)
    entries = Stack.of(graph, "g", (1, 1, 4))
    stack = Scattered(graph, z.shape, entries, Traced(graph, "place", place), distinct=False)
    wanted = [stack.times(mask).per_row]
    needed = [node.op_type for node in graph.finished(wanted)]
    assert needed.count("HardSigmoid") == 1
    assert "Gather" not in needed
    (number,) = (node for node in graph.finished(wanted) if node.op_type == "HardSigmoid")
    assert list(number.input) == ["y"]
    g = whole(1, 1, 1, 4, seed=2)
    (found,) = run(graph, {"g": g, "z": z}, wanted)
    sums = np.zeros_like(z)
    np.add.at(sums[0, 0], place[0, 0], g[0, 0, 0])
    np.testing.assert_array_equal(found[0], sums * (z > 0))
