"""Stacks of K arrays: factors wait, pieces of one tensor are not copied, and nothing changes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.lowering import FEW, Emitter, Laid, Scaled, Stack, Traced, beside, permuted, stretched

K = 3


def whole(*shape: int, seed: int = 0) -> Any:
    """Small integers in float32: every product and sum below is exact."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def run(graph: Emitter, given: dict[str, Any], wanted: list[str]) -> list[Any]:
    helper = onnx.helper
    types = {n: int(helper.np_dtype_to_tensor_dtype(a.dtype)) for n, a in given.items()}
    floats = int(helper.np_dtype_to_tensor_dtype(graph.dtype))
    ins, outs = (
        [helper.make_tensor_value_info(n, kind, None) for n, kind in kinds]
        for kinds in (types.items(), [(name, floats) for name in wanted])
    )
    kept = [onnx.numpy_helper.from_array(a, n) for n, a in graph.stored.items()]
    body = helper.make_graph(graph.finished(wanted), "stack", ins, outs, kept)
    imports = [helper.make_opsetid("", NEWEST_RUNNABLE)]
    made = helper.make_model(body, opset_imports=imports, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(wanted, given)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 3, 4), (2, 3), (5,), (1, 2 * FEW)])
def test_factors_that_meet_first_change_nothing(shape: tuple[int, ...], single: bool) -> None:
    k = 1 if single else K
    graph = Emitter(np.float32, ["g", "a", "b"], single=single)
    a, b, g = whole(*shape, seed=1), whole(*shape[-1:], seed=2), whole(k, *shape, seed=3)
    first, second = Traced(graph, "a", a), Traced(graph, "b", b)
    scaled = Stack.of(graph, "g", shape).times(first).times(second)
    side_by_side = beside([scaled, Stack.of(graph, "g", shape).times(second), scaled], 0)
    further = side_by_side.times(Traced(graph, "a", a)[:1] if len(shape) > 1 else second[:1])
    added = scaled.times(np.array(-1.0)).plus(Stack.of(graph, "g", shape).times(first))
    turned = permuted(scaled, tuple(range(len(shape)))[::-1])
    wanted = [each.per_row for each in (scaled, side_by_side, further, added, turned)]
    found = run(graph, {"g": g, "a": a, "b": b}, wanted)
    both = g * a * b
    joined = np.concatenate([both, g * b, both], axis=1)
    np.testing.assert_array_equal(found[0], both)
    np.testing.assert_array_equal(found[1], joined)
    np.testing.assert_array_equal(found[2], joined * (a[:1] if len(shape) > 1 else b[:1]))
    np.testing.assert_array_equal(found[3], g * a - both)
    order = np.arange(len(shape), 0, -1)
    np.testing.assert_array_equal(found[4], both.transpose(0, *order))


def test_factors_of_small_stacks_meet_before_the_rows() -> None:
    graph = Emitter(np.float32, ["g", "a", "b"])
    a, b = (Traced(graph, name, whole(1, 4)) for name in "ab")
    wanted = Stack.of(graph, "g", (1, 4)).times(a).times(b).per_row
    read = [set(n.input) for n in graph.finished([wanted]) if n.op_type == "Mul"]
    assert len(read) == 2
    assert {"a", "b"} in read


def test_what_is_repeated_in_a_sum_stays_small() -> None:
    graph = Emitter(np.float32, ["g", "m"])
    g, m = whole(K, 1, 3, 4), whole(K, 1, 3, 1, seed=1)
    spread = stretched(Stack.of(graph, "m", (1, 3, 1)), (1, 3, 4))
    full = Stack.of(graph, "g", (1, 3, 4))
    for first, second in ((full, spread), (spread, full)):
        wanted = first.plus(second).per_row
        assert not [n for n in graph.finished([wanted]) if n.op_type == "Expand"]
        (found,) = run(graph, {"g": g, "m": m}, [wanted])
        np.testing.assert_array_equal(found, g + m)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 2], [0, 2, 3], [3, 2, 1, 0], [2], [1, 1, 2]])
def test_pieces_are_joined_as_they_were_cut(order: list[int]) -> None:
    graph = Emitter(np.float32, ["x"])
    x = whole(4, 2)
    pieces = graph.several("Split", 4, "x", axis=0, num_outputs=4)
    graph.shapes |= dict.fromkeys(pieces, (1, 2))
    wanted = graph("Identity", graph.joined([pieces[i] for i in order]))
    (found,) = run(graph, {"x": x}, [wanted])
    np.testing.assert_array_equal(found, x[order])
    if order == [0, 1, 2, 3]:
        assert [n.op_type for n in graph.finished([wanted])] == ["Identity"]


def test_nodes_are_put_in_the_order_of_the_pieces_that_they_read() -> None:
    graph = Emitter(np.float32, ["x", "z"])
    pieces = graph.several("Split", 4, "x", axis=0, num_outputs=4)
    graph.shapes |= dict.fromkeys(pieces, (1, 2))
    assert graph.in_order([["z", pieces[i]] for i in (3, 1, 0, 2)]) == [2, 1, 3, 0]
    assert graph.in_order([["z"], ["y"]]) == [0, 1]


def test_an_axis_of_length_1_moves_without_a_transpose() -> None:
    graph = Emitter(np.float32, ["g"])
    g = whole(K, 1, 3, 4)
    wanted = permuted(Stack.of(graph, "g", (1, 3, 4)), (1, 0, 2)).per_row
    assert not [n for n in graph.finished([wanted]) if n.op_type == "Transpose"]
    (found,) = run(graph, {"g": g}, [wanted])
    np.testing.assert_array_equal(found, g.transpose(0, 2, 1, 3))


def test_finishing_a_graph_leaves_it_as_it_is() -> None:
    """Asked twice it is the same, what stands in for a wanted tensor included."""
    graph = Emitter(np.float32, ["x"])
    first = graph("Neg", "x")
    left, right = graph.several("Split", 2, first, axis=0, num_outputs=2)
    graph.stand_in(graph("Abs", "x"), left)
    wanted = [left, right, graph("Exp", left)]
    before = [node.SerializeToString() for node in graph.nodes]
    finished = [[n.SerializeToString() for n in graph.finished(wanted)] for _ in range(2)]
    assert finished[0] == finished[1]
    assert before == [node.SerializeToString() for node in graph.nodes]
    x = whole(4, 2)
    found = run(graph, {"x": x}, wanted[:2])
    np.testing.assert_array_equal(found[0], np.abs(x))
    np.testing.assert_array_equal(found[1], -x[2:])


def test_a_factor_that_waits_has_no_tensor_to_read() -> None:
    graph = Emitter(np.float32, ["g", "a"])
    scaled = Stack.of(graph, "g", (1, 4)).times(Traced(graph, "a", whole(1, 4)))
    assert isinstance(scaled, Scaled)
    assert "Mul" not in [node.op_type for node in graph.nodes]
    assert scaled.applied.held == scaled.rows_merged == graph.nodes[-1].output[0]
    assert graph.nodes[-1].op_type == "Mul"


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_sums_take_signs_and_layouts_as_they_come(signs: tuple[int, int]) -> None:
    graph = Emitter(np.float32, ["g", "m"])
    g, m = whole(K, 1, 3, 4), whole(K, 1, 3, 1, seed=1)
    full = Stack.of(graph, "g", (1, 3, 4))
    small = stretched(Stack.of(graph, "m", (1, 3, 1)), (1, 3, 4))
    other = Laid(graph, (1, 3, 4), "m", 1, (1, 3, 4), (1, 3, 1))
    values = {id(full): g, id(small): m, id(other): m}
    wanted, expected = [], []
    for a, b in product((full, small, other), repeat=2):
        first, second = a.times(np.array(signs[0])), b.times(np.array(signs[1]))
        wanted.append(first.plus(second).per_row)
        expected.append(
            np.broadcast_to(signs[0] * values[id(a)] + signs[1] * values[id(b)], g.shape)
        )
    for found, right in zip(run(graph, {"g": g, "m": m}, wanted), expected, strict=True):
        np.testing.assert_array_equal(found, right)
