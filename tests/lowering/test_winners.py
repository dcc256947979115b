"""Indices of a max-pool by convolutions are those that onnxruntime's MaxPool gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxlin.lowering import Emitter, Fact
from onnxlin.lowering.winners import windows_of, winners

CASES: list[dict[str, Any]] = [
    {"kernel_shape": [3, 3], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "dilations": [2, 2]},
    {"kernel_shape": [3, 2], "strides": [2, 1], "dilations": [2, 1], "pads": [1, 1, 2, 0]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [1, 3], "strides": [1, 2], "auto_pad": "VALID"},
]


def run(nodes: Any, stored: Any, x: Any, wanted: Any) -> list[Any]:
    graph = helper.make_graph(
        nodes,
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info(n, k, None) for n, k in wanted.items()],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return list(session.run(list(wanted), {"x": x}))


def both(given: dict[str, Any], x: Any, known: Fact) -> tuple[Any, Any] | None:
    """Indices by MaxPool, and by convolutions; None where there is no such way."""
    pool = helper.make_node("MaxPool", ["x"], ["y", "index"], **given)
    y, index = run([pool], {}, x, {"y": TensorProto.FLOAT, "index": TensorProto.INT64})
    windows = windows_of(pool, x.shape, y.shape)
    graph = Emitter(np.float32, ["x", "y", "index"])
    graph.facts["x"] = known
    graph.add(pool)
    name = windows and winners(graph, windows, "x", "y")
    if not name:
        return None
    graph.stand_in(name, "index")
    nodes = graph.finished(["y", name])
    assert [len(node.output) for node in nodes if node.op_type == "MaxPool"] == [1]
    (found,) = run(nodes, graph.stored, x, {name: TensorProto.INT64})
    return index, found


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxlin.lowering.winners.MANY", 0)


@pytest.mark.parametrize("given", CASES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e17])
def test_the_first_of_equals_wins(given: dict[str, Any], scale: float) -> None:
    rng = np.random.default_rng(0)
    # Halves: ties are everywhere, and whole windows are 0.
    x = np.maximum(np.round(rng.normal(size=(2, 16, 15, 14)) * 2) / 2, 0)
    x[:, :, :5, :5] = x[:, :, -4:, -4:] = 0
    found = both(given, (x * scale).astype(np.float32), Fact.FINITE | Fact.NOT_NEGATIVE)
    assert found is not None
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("given", [CASES[0], CASES[5]], ids=str)
def test_negative_entries_win_without_pads(given: dict[str, Any]) -> None:
    x = np.random.default_rng(1).normal(size=(1, 16, 15, 14)).astype(np.float32) - 3
    found = both(given, x, Fact.FINITE)
    assert found is not None
    np.testing.assert_array_equal(*found)


def test_neighbours_in_float32_are_told_apart() -> None:
    x = np.float32(1) + np.zeros((1, 16, 9, 9), np.float32)
    x[..., ::2, 1::2] = np.nextafter(np.float32(1), np.float32(2))
    found = both(CASES[0], x, Fact.FINITE)
    assert found is not None
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (CASES[1], Fact.FINITE),  # a pad would win against what is negative
        (CASES[0], Fact.NOT_NEGATIVE),  # an infinity would reach its neighbours
        ({"kernel_shape": [4, 4]}, Fact.FINITE),
        ({"kernel_shape": [3, 3], "storage_order": 1}, Fact.FINITE),
    ],
    ids=str,
)
def test_all_else_is_left_to_maxpool(given: dict[str, Any], known: Fact) -> None:
    x = np.ones((1, 16, 9, 9), np.float32)
    assert both(given, x, known) is None
