"""Operators that move entries, and scatters, against the runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxlin
from tests.rules.lone import Array, assert_derivative, assert_reproduces, feeds, linearised, model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 2))
FLAGS = np.array([True, False, True])
MOVES: list[tuple[str, int, list[Any], dict[str, Any]]] = [
    ("GatherElements", 13, [X, RNG.integers(-4, 4, (2, 6, 1))], {"axis": 1}),
    ("GatherElements", 13, [X, RNG.integers(-2, 2, (3, 4, 5))], {"axis": -1}),
    ("GatherElements", 13, [X, np.zeros((3, 0, 2), np.int64)], {"axis": 1}),
    ("GatherND", 13, [X, RNG.integers(-3, 3, (2, 3, 1))], {}),
    ("GatherND", 13, [X, RNG.integers(-2, 2, (5, 3))], {}),
    ("GatherND", 13, [X, np.array([1, -2, 0])], {}),
    ("GatherND", 13, [X, RNG.integers(-4, 4, (3, 2, 1))], {"batch_dims": 1}),
    ("GatherND", 13, [X, RNG.integers(-2, 2, (3, 4, 3, 1))], {"batch_dims": 2}),
    ("GatherND", 13, [X, RNG.integers(-2, 2, (3, 2))], {"batch_dims": 1}),
    ("Compress", 11, [X, FLAGS], {"axis": 0}),
    ("Compress", 11, [X, FLAGS], {"axis": -2}),
    ("Compress", 11, [X, FLAGS], {}),
    ("ReverseSequence", 10, [X, np.array([1, 3, 0, 2])], {"time_axis": 0, "batch_axis": 1}),
    ("ReverseSequence", 10, [X, np.array([4, 1, 2])], {"time_axis": 1, "batch_axis": 0}),
    ("Trilu", 14, [X], {}),
    ("Trilu", 14, [X, np.array(-1)], {"upper": 0}),
    ("Trilu", 14, [X, np.array(2)], {"upper": 1}),
    ("TopK", 11, [X, np.array([2])], {"axis": 1}),
    ("TopK", 11, [X, np.array([3])], {"axis": -2, "largest": 0}),
    ("TopK", 11, [X, np.array([1])], {"axis": 0, "sorted": 0}),
    ("Unique", 11, [X], {}),
    ("Unique", 11, [X], {"sorted": 0}),
    ("Unique", 11, [X], {"axis": 1}),
    ("Unique", 11, [X], {"axis": -1, "sorted": 0}),
    ("CenterCropPad", 18, [X, np.array([2, 7])], {"axes": [1, 0]}),
    ("CenterCropPad", 18, [X, np.array([4, 3, 2])], {}),
]


@pytest.mark.parametrize(("op_type", "opset", "inputs", "options"), MOVES)
def test_moves(op_type: str, opset: int, inputs: list[Array], options: dict[str, Any]) -> None:
    proto = model(op_type, opset, inputs, 2 if op_type == "TopK" else 1, **options)
    assert_reproduces(proto, feeds(inputs))
    assert_derivative(proto, feeds(inputs))
    m = linearised(proto, feeds(inputs))
    assert set(np.unique(m.W)) <= {0.0, 1.0}
    assert not m.b.any()


@pytest.mark.parametrize("shape", [None, [1, 1, 5, 6]])
def test_max_unpool(shape: list[int] | None) -> None:
    x = RNG.normal(size=(1, 1, 2, 2)).astype(np.float32)
    inputs = [x, np.array([5, 7, 13, 15]).reshape(1, 1, 2, 2)]
    inputs += [] if shape is None else [np.array(shape)]
    proto = model("MaxUnpool", 11, inputs, kernel_shape=[2, 2], strides=[2, 2])
    assert_reproduces(proto, feeds(inputs))


@pytest.mark.parametrize(
    ("image", "block", "options"),
    [
        ([4, 5], [2, 2], {}),
        ([4, 5], [2, 3], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
        ([5, 5], [2, 2], {"dilations": [2, 3]}),
        ([3, 4, 2], [2, 2, 1], {"strides": [1, 2, 1]}),
    ],
)
def test_col2im(image: list[int], block: list[int], options: dict[str, list[int]]) -> None:
    rank = len(image)
    pads = options.get("pads", [0] * (2 * rank))
    counts = [
        (n + pads[i] + pads[rank + i] - ((k - 1) * options.get("dilations", [1] * rank)[i] + 1))
        // options.get("strides", [1] * rank)[i]
        + 1
        for i, (n, k) in enumerate(zip(image, block, strict=True))
    ]
    x = RNG.normal(size=(2, 3 * int(np.prod(block)), int(np.prod(counts)))).astype(np.float32)
    inputs = [x, np.array(image), np.array(block)]
    assert_reproduces(model("Col2Im", 18, inputs, **options), feeds(inputs))


# Rows 0 and 2 of the target are hit more than once, row 1 never.
REPEATED = np.array([[0, 2, -1, 0], [2, 2, 0, -3]])
REDUCTIONS = ("none", "add", "mul", "min", "max")


def _scatters(dtype: type) -> list[tuple[str, list[Array], dict[str, Any]]]:
    data, updates = RNG.normal(size=(3, 4)).astype(dtype), RNG.normal(size=(2, 4)).astype(dtype)
    tuples = np.array([[[0, 1]], [[-1, 2]], [[0, 1]], [[0, -3]]])
    rows = RNG.normal(size=(4, 4)).astype(dtype)
    return [
        ("ScatterElements", [data, REPEATED, updates], {"axis": 0}),
        ("ScatterElements", [data, REPEATED[:, :2] % 4, updates[:, :2].copy()], {"axis": 1}),
        ("ScatterND", [data, tuples, RNG.normal(size=(4, 1)).astype(dtype)], {}),
        ("ScatterND", [data, np.array([[0], [2], [-1], [0]]), rows], {}),
    ]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", range(4))
def test_scatter(case: int, reduction: str) -> None:
    for dtype in (np.float32, np.float64):
        op_type, inputs, options = _scatters(dtype)[case]
        if reduction == "none" and op_type == "ScatterND":
            # Which of several updates stays is left open, so none may meet.
            inputs = [inputs[0], inputs[1][:2], inputs[2][:2]]
        proto = model(op_type, 18, inputs, reduction=reduction, **options)
        assert_reproduces(proto, feeds(inputs))
    assert_derivative(proto, feeds(inputs))


@pytest.mark.parametrize("given", [["i0"], ["i2"]])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scatter_with_one_side_constant(reduction: str, given: list[str]) -> None:
    op_type, inputs, options = _scatters(np.float64)[0]
    proto = model(op_type, 18, inputs, reduction=reduction, **options)
    both = linearised(proto, feeds(inputs))
    n = inputs[0].size
    part = linearised(proto, feeds(inputs), inputs=given)
    np.testing.assert_allclose(part.W, both.W[:, :n] if given == ["i0"] else both.W[:, n:])


def test_frozen_product_is_halved_at_every_product() -> None:
    """A slow twin: each product of two traced numbers hands half of it to either."""
    op_type, inputs, options = _scatters(np.float64)[0]
    m = linearised(model(op_type, 18, inputs, reduction="mul", **options), feeds(inputs), "frozen")
    data, index, updates = inputs
    rows = np.eye(data.size + updates.size)
    values, maps = data.copy(), rows[: data.size].reshape(*data.shape, -1).copy()
    for i, j in np.ndindex(*index.shape):
        at, u = (index[i, j], j), updates[i, j]
        row = rows[data.size + i * updates.shape[1] + j]
        maps[at] = (u * maps[at] + values[at] * row) / 2
        values[at] *= u
    np.testing.assert_allclose(m.W, maps.reshape(data.size, -1), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(m.b, 0)


def test_margins_of_a_contest() -> None:
    """The distance of the winner from the runner-up; infinite where nothing competes."""
    data = np.array([0.0, 5.0, 1.0])
    inputs = [data, np.array([0, 0, 2]), np.array([2.0, 3.5, 0.25])]
    proto = model("ScatterElements", 18, inputs, reduction="max")
    lin = onnxlin.Linearizer(proto)
    (step,) = lin.decider(lin.trace(feeds(inputs)), np.dtype(np.float64)).steps
    assert step.margin is not None
    np.testing.assert_array_equal(step.margin(), [1.5, np.inf, 0.75])


def test_margins_of_the_largest() -> None:
    """The gap to the neighbour in order, whether that one is picked or not."""
    inputs = [np.array([3.0, 1.0, 7.0, 2.5]), np.array([2])]
    lin = onnxlin.Linearizer(model("TopK", 11, inputs, 2))
    (step,) = lin.decider(lin.trace(feeds(inputs)), np.dtype(np.float64)).steps
    assert step.margin is not None
    np.testing.assert_array_equal(step.margin(), [4.0, 0.5])


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("start", [[1, 0], [0, 2], None])
def test_tensor_scatter(mode: str, start: list[int] | None) -> None:
    data, update = RNG.normal(size=(2, 3, 4, 2)), RNG.normal(size=(2, 3, 2, 2))
    inputs = [data, update, *([] if start is None else [np.array(start)])]
    proto = model("TensorScatter", 24, inputs, mode=mode)
    assert_reproduces(proto, feeds(inputs))
    assert_derivative(proto, feeds(inputs))


def test_circular_scatter_wraps_round() -> None:
    inputs = [RNG.normal(size=(1, 3, 2)), RNG.normal(size=(1, 2, 2)), np.array([2])]
    proto = model("TensorScatter", 24, inputs, mode="circular")
    assert_derivative(proto, feeds(inputs))
