"""Stacks of K arrays: factors wait, pieces of one tensor are not copied, and nothing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.lowering import FEW, Emitter, Stack, Traced

K = 3


def whole(*shape: int, seed: int = 0) -> Any:
    """Small integers in float32: every product and sum below is exact."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def run(graph: Emitter, given: dict[str, Any], wanted: list[str]) -> list[Any]:
    helper = onnx.helper
    ins, outs = (
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names]
        for names in (given, wanted)
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
    beside = scaled.beside([Stack.of(graph, "g", shape).times(second), scaled], 0)
    further = beside.times(Traced(graph, "a", a)[:1] if len(shape) > 1 else second[:1])
    added = scaled.times(np.array(-1.0)).plus(Stack.of(graph, "g", shape).times(first))
    turned = scaled.permuted(tuple(range(len(shape)))[::-1])
    wanted = [each.split for each in (scaled, beside, further, added, turned)]
    found = run(graph, {"g": g, "a": a, "b": b}, wanted)
    product = g * a * b
    joined = np.concatenate([product, g * b, product], axis=1)
    np.testing.assert_array_equal(found[0], product)
    np.testing.assert_array_equal(found[1], joined)
    np.testing.assert_array_equal(found[2], joined * (a[:1] if len(shape) > 1 else b[:1]))
    np.testing.assert_array_equal(found[3], g * a - product)
    order = np.arange(len(shape), 0, -1)
    np.testing.assert_array_equal(found[4], product.transpose(0, *order))


def test_factors_of_small_stacks_meet_before_the_rows() -> None:
    graph = Emitter(np.float32, ["g", "a", "b"])
    a, b = (Traced(graph, name, whole(1, 4)) for name in "ab")
    wanted = Stack.of(graph, "g", (1, 4)).times(a).times(b).split
    read = [set(n.input) for n in graph.finished([wanted]) if n.op_type == "Mul"]
    assert len(read) == 2
    assert {"a", "b"} in read


def test_what_is_repeated_in_a_sum_stays_small() -> None:
    graph = Emitter(np.float32, ["g", "m"])
    g, m = whole(K, 1, 3, 4), whole(K, 1, 3, 1, seed=1)
    spread = Stack.of(graph, "m", (1, 3, 1)).stretched((1, 3, 4))
    full = Stack.of(graph, "g", (1, 3, 4))
    for first, second in ((full, spread), (spread, full)):
        wanted = first.plus(second).split
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
    wanted = Stack.of(graph, "g", (1, 3, 4)).permuted((1, 0, 2)).split
    assert not [n for n in graph.finished([wanted]) if n.op_type == "Transpose"]
    (found,) = run(graph, {"g": g}, [wanted])
    np.testing.assert_array_equal(found, g.transpose(0, 2, 1, 3))
