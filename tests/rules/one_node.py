"""One-node models, and the three questions that a smooth rule must answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

import onnxlin
from tests.installed import asked

Array = npt.NDArray[Any]


def model(
    op_type: str,
    inputs: list[Array],
    constants: dict[int, Array] | None = None,
    outputs: int = 1,
    opset: int = 21,
    **attributes: Any,
) -> onnx.ModelProto:
    """One node; inputs at the positions of ``constants`` are initialisers, the others x0, x1 ..."""
    constants = constants or {}
    count = len(inputs) + len(constants)
    names = [f"c{i}" if i in constants else f"x{i}" for i in range(count)]
    live = [i for i in range(count) if i not in constants]
    given = [
        helper.make_tensor_value_info(
            f"x{i}", helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for i, value in zip(live, inputs, strict=True)
    ]
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op_type, names, made, **attributes)
    kept = [onnx.numpy_helper.from_array(value, f"c{i}") for i, value in constants.items()]
    shown = [onnx.ValueInfoProto(name=name) for name in made]
    graph = helper.make_graph([node], "one", given, shown, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def feeds(one: onnx.ModelProto, inputs: list[Array]) -> dict[str, Array]:
    return {i.name: value for i, value in zip(one.graph.input, inputs, strict=True)}


def run(one: onnx.ModelProto, inputs: list[Array]) -> Array:
    """What onnxruntime computes, flattened."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(one.SerializeToString(), options)
    return np.concatenate([np.ravel(y) for y in session.run(None, feeds(one, inputs))])


def assert_reproduces(one: onnx.ModelProto, inputs: list[Array]) -> None:
    """W x + b = F(x) within the derived bound, in both modes and precisions."""
    for mode in ("tangent", "frozen"):
        for dtype in (np.float32, np.float64):
            with asked(one, feeds(one, inputs)):
                onnxlin.linearize(one, feeds(one, inputs), mode=mode, dtype=dtype).verify()


def assert_tangent(one: onnx.ModelProto, inputs: list[Array], step: float = 2.0**-9) -> None:
    """W against central differences of the map's own float64 values, extrapolated once.

    Both differences are of order ``step ** 2``; what is left after extrapolation is a sixtieth
    part of the difference between them for a smooth function, and ten times that is allowed.
    """
    lin = onnxlin.Linearizer(one)

    def values(x: Array) -> Array:
        parts = np.split(x, np.cumsum([i.size for i in inputs])[:-1])
        shaped = [p.reshape(i.shape).astype(i.dtype) for p, i in zip(parts, inputs, strict=True)]
        m = lin(feeds(one, shaped), dtype=np.float64)
        return m.W @ m.x.astype(np.float64) + m.b

    x = np.concatenate([i.ravel() for i in inputs]).astype(np.float64)
    W = lin(feeds(one, inputs), dtype=np.float64).W
    for i, unit in enumerate(np.eye(x.size)):
        wide, near = (
            (values(x + s * unit) - values(x - s * unit)) / (2 * s) for s in (step, step / 2)
        )
        rounding = 1e-12 * (1 + np.abs(values(x))) / step
        np.testing.assert_array_less(
            np.abs((4 * near - wide) / 3 - W[:, i]), np.abs(near - wide) / 6 + rounding
        )


def frozen(one: onnx.ModelProto, inputs: list[Array]) -> tuple[Array, Array]:
    """W and b of the frozen reading in float64."""
    m = onnxlin.linearize(one, feeds(one, inputs), mode="frozen", dtype=np.float64)
    return m.W, m.b


def grid(rng: np.random.Generator, *shape: int, low: int = -96, high: int = 96) -> Array:
    """Multiples of 1 / 64, so that steps of a power of two stay exact in float32; no zeros."""
    odd = 2 * rng.integers(low // 2, high // 2, shape) + 1
    return (odd / 64).astype(np.float32)
