"""Operators on integer tensors, read straight through: near the float operators they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.operators.integers import ROUNDED
from onnxlin.primitives import Array
from tests.agree import assert_close
from tests.installed import require_quantising
from tests.rules.quantised.quantised_models import (
    MICROSOFT,
    SEVEN_BITS,
    X4,
    between,
    graph,
    node,
    verified,
)
from tests.twin import by_hand

STRAIGHT = "straight-through"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


TWO = ["q", "s", "z", "p", "t", "w"]
OPERATORS = {
    "add": (node("QLinearAdd", [*TWO, "s", "z"], ["o"], domain=MICROSOFT), "Add"),
    "mul": (node("QLinearMul", [*TWO, "s", "z"], ["o"], domain=MICROSOFT), "Mul"),
    "concat": (
        node("QLinearConcat", ["s", "z", *TWO], ["o"], domain=MICROSOFT, axis=1),
        "Concat",
    ),
    "pool": (
        node(
            "QLinearAveragePool",
            ["q", "s", "z", "s", "z"],
            ["o"],
            domain=MICROSOFT,
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            count_include_pad=1,
        ),
        "AveragePool",
    ),
    "global pool": (
        node(
            "QLinearGlobalAveragePool",
            ["q", "s", "z", "s", "z"],
            ["o"],
            domain=MICROSOFT,
            channels_last=0,
        ),
        "GlobalAveragePool",
    ),
    "leaky": (
        node("QLinearLeakyRelu", ["q", "s", "z", "s", "z"], ["o"], domain=MICROSOFT, alpha=0.2),
        "LeakyRelu",
    ),
    "sigmoid": (
        node("QLinearSigmoid", ["q", "s", "z", "u", "v"], ["o"], domain=MICROSOFT),
        "Sigmoid",
    ),
    "softmax": (
        node(
            "QLinearSoftmax",
            ["q", "s", "z", "u", "v"],
            ["o"],
            domain=MICROSOFT,
            axis=1,
            opset=13,
        ),
        "Softmax",
    ),
    "where": (
        node("QLinearWhere", ["c", *TWO, "s", "z"], ["o"], domain=MICROSOFT),
        "Where",
    ),
}


def float_twin(op_type: str, fused: onnx.NodeProto, condition: Array) -> onnx.ModelProto:
    """The same operator on x and x / 2, in floats."""
    operands = {
        "Add": ["x", "h"],
        "Mul": ["x", "h"],
        "Concat": ["x", "h"],
        "Where": ["c", "x", "h"],
    }.get(op_type, ["x"])
    inner = node(op_type, operands, ["y"])
    inner.attribute.extend(a for a in fused.attribute if a.name not in ("channels_last", "opset"))
    nodes = [node("Mul", ["x", "half"], ["h"]), inner]
    return graph(nodes, X4, {"half": np.float32(0.5), "c": condition})


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_on_integers(name: str, mode: str, rng: np.random.Generator) -> None:
    """W is near that of the float operator: slopes are taken at numbers half a quantum away."""
    fused, op_type = OPERATORS[name]
    condition = rng.random(X4) > 0.5
    constants = {"u": np.float32(1 / 256), "v": np.uint8(0), "c": condition}
    ends = ("u", "v") if op_type in ("Sigmoid", "Softmax") else ("s", "z")
    model = between(fused, X4, constants, *ends)
    x = rng.uniform(-1.4, 1.4, X4).astype(np.float32)
    assert not verified(model, x, mode=mode).W.any()
    m = verified(model, x, rounding=STRAIGHT, mode=mode)
    want = onnxlin.linearize(float_twin(op_type, fused, condition), x, mode=mode)
    # Slopes of these functions change by no more than 1 for each unit of x.
    np.testing.assert_allclose(m.W, want.W, rtol=1e-5, atol=0.05)
    assert {layer.status for layer in m.layers if layer.op_type == fused.op_type} == {STRAIGHT}


@pytest.mark.parametrize("flags", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("floating", [False, True])
def test_qgemm(flags: tuple[int, int], floating: bool, rng: np.random.Generator) -> None:
    codes = rng.integers(0, 255, (5, 4) if flags[1] else (4, 5)).astype(np.uint8)
    inputs = ["q", "s", "z", "W", "ws", "wz", "C", *(() if floating else ("u", "z"))]
    attributes = {"transA": flags[0], "transB": flags[1], "alpha": 2.0}
    last = [node("QGemm", inputs, ["y" if floating else "o"], domain=MICROSOFT, **attributes)]
    last += [] if floating else [node("DequantizeLinear", ["o", "u", "z"], ["y"])]
    constants = {
        "s": np.float32(0.03),
        "z": np.uint8(100),
        "W": codes,
        "ws": np.float32(0.002),
        "wz": np.uint8(120),
        "C": rng.integers(-500, 500, 5).astype(np.int32),
        "u": np.float32(0.1),
    }
    shape = (4, 3) if flags[0] else (3, 4)
    model = graph([node("QuantizeLinear", ["x", "s", "z"], ["q"]), *last], shape, constants)
    x = rng.uniform(-1, 1, shape)
    assert not verified(model, x).W.any()
    m = verified(model, x, rounding=STRAIGHT)
    weights = (codes.astype(float) - 120) * 0.002
    right = weights.T if flags[1] else weights
    columns = np.eye(12).reshape(12, *shape)
    want = [2 * (e.T if flags[0] else e) @ right for e in columns]
    np.testing.assert_allclose(m.W, np.array(want).reshape(12, -1).T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_qlinear_conv(mode: str, rng: np.random.Generator) -> None:
    codes = rng.integers(*SEVEN_BITS, (4, 3, 3, 3)).astype(np.int8)
    scales = rng.uniform(0.001, 0.002, 4).astype(np.float32)
    window = {"pads": [1, 1, 1, 1], "strides": [2, 2]}
    constants = {
        "W": codes,
        "ws": scales,
        "wz": np.zeros(4, np.int8),
        "B": rng.integers(-1000, 1000, 4).astype(np.int32),
    }
    conv = node("QLinearConv", ["q", "s", "z", "W", "ws", "wz", "t", "w", "B"], ["o"], **window)
    model = between(conv, X4, constants, "t", "w")
    x = rng.uniform(-1.4, 1.4, X4).astype(np.float32)
    m = verified(model, x, rounding=STRAIGHT, mode=mode)
    floats = {"K": (codes * scales[:, None, None, None]).astype(np.float32)}
    twin = graph([node("Conv", ["x", "K"], ["y"], **window)], X4, floats)
    np.testing.assert_allclose(m.W, onnxlin.linearize(twin, x).W, rtol=1e-5, atol=1e-7)


MOVES = {
    "Reshape": (["q", "shape"], {}),
    "Transpose": (["q"], {"perm": [3, 1, 0, 2]}),
    "MaxPool": (["q"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "Slice": (["q", "zero", "one"], {}),
    "Pad": (["q", "pads", "z"], {}),
    "Concat": (["q", "p", "q"], {"axis": 1}),
    "Max": (["q", "z"], {}),
    "Min": (["q", "z"], {}),
    "Clip": (["q", "z"], {}),
    "Gather": (["q", "zero"], {}),
    "Where": (["c", "q", "p"], {}),
    "Expand": (["q", "wide"], {}),
    "Tile": (["q", "wide"], {}),
    "Identity": (["q"], {}),
    "Unsqueeze": (["q", "zero"], {}),
    "Resize": (["q", "", "scales"], {"mode": "nearest"}),
}


@pytest.mark.parametrize("op_type", MOVES)
def test_integers_are_moved_like_floats(op_type: str, rng: np.random.Generator) -> None:
    operands, attributes = MOVES[op_type]
    constants = {
        "shape": np.array([2, -1]),
        "zero": np.array([0]),
        "one": np.array([1]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 0, 1]),
        "wide": np.array([2, 1, 1, 1] if op_type == "Tile" else [5, 2, 3, 4, 4]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "c": rng.random(X4) > 0.5,
    }
    model = between(node(op_type, operands, ["o"], **attributes), X4, constants)
    x = rng.uniform(-1.4, 1.4, X4)
    m = verified(model, x, rounding=STRAIGHT)
    assert m.W.any()
    status = STRAIGHT if ("", op_type) in ROUNDED else "exact"
    assert [layer.status for layer in m.layers if layer.op_type == op_type] == [status]
    m.near_kinks()


@pytest.mark.parametrize("engine", ["reverse", "compiled"])
def test_a_pool_of_the_lowest_number_alone(engine: str, rng: np.random.Generator) -> None:
    """All entries of a window saturate: it has its first one, in the second channel as well."""
    if engine == "compiled":
        require_quantising()
    pool = node("MaxPool", ["q"], ["o"], kernel_shape=[3, 3], pads=[1, 1, 0, 0])
    lin = onnxlin.Linearizer(between(pool, X4, {}), rounding=STRAIGHT)
    x = np.full(X4, -9, np.float32)
    x[:, 0] = rng.uniform(-1, 1, X4)[:, 0]
    m = lin(x, engine=engine).verify()
    assert (m.y == m.y.min()).sum() >= 9
    lowest = lin(np.full(X4, -9, np.float32), engine=engine).verify()
    assert not lowest.W.any()


def dynamic(product: str, kernel: Array, shape: tuple[int, ...], **attributes: Any) -> Any:
    """x quantised as it asks for, multiplied as integers and scaled back."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node(product, ["q", "W", "z", "wz"], ["i"], **attributes),
        node("Cast", ["i"], ["c"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["s", "ws"], ["k"]),
        node("Mul", ["c", "k"], ["y"]),
    ]
    return graph(nodes, shape, {"W": kernel, "ws": np.float32(0.01), "wz": np.int8(3)})


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("size", [0.0, 1.0])
def test_dynamic_quantisation(mode: str, size: float, rng: np.random.Generator) -> None:
    kernel = rng.integers(*SEVEN_BITS, (4, 3, 3, 3)).astype(np.int8)
    x = (size * rng.normal(size=X4)).astype(np.float32)
    conv = dynamic("ConvInteger", kernel, X4, pads=[1, 1, 1, 1])
    m = verified(conv, x, rounding=STRAIGHT, mode=mode)
    verified(conv, x, mode=mode)
    weights = rng.integers(*SEVEN_BITS, (4, 5)).astype(np.int8)
    flat = x.reshape(-1, 4)
    m = verified(dynamic("MatMulInteger", weights, flat.shape), flat, rounding=STRAIGHT, mode=mode)
    if mode == "tangent" and size:
        # Rounding as the identity: quantised and scaled back x is x, but for the offset times ds.
        want = np.kron(np.eye(len(flat)), (weights.astype(float).T - 3) * 0.01)
        others = np.ones(x.size, bool)
        others[[flat.argmin(), flat.argmax()]] = False  # the scale hangs on these
        np.testing.assert_allclose(m.W[:, others], want[:, others], rtol=1e-4, atol=1e-5)


def test_a_dynamic_scale_goes_on_in_a_staircase(rng: np.random.Generator) -> None:
    """The integers are constant, yet the scale moves with the extremes: a true derivative."""
    weights = rng.integers(*SEVEN_BITS, (4, 5)).astype(np.int8)
    x = rng.normal(size=(2, 4)).astype(np.float32)
    m = verified(dynamic("MatMulInteger", weights, (2, 4)), x)
    moving = np.flatnonzero(np.abs(m.W).max(axis=0))
    assert set(moving) == {x.argmin(), x.argmax()}


@pytest.mark.parametrize("rounding", ["staircase", STRAIGHT])
def test_dynamic_quantize_matmul(rounding: str, rng: np.random.Generator) -> None:
    """The fused operator has the map of what it fuses."""
    weights = rng.integers(*SEVEN_BITS, (4, 5)).astype(np.int8)
    fused = node("DynamicQuantizeMatMul", ["x", "W", "ws", "wz", "B"], ["y"], domain=MICROSOFT)
    constants = {
        "W": weights,
        "ws": np.float32(0.01),
        "wz": np.int8(3),
        "B": rng.normal(size=5).astype(np.float32),
    }
    x = rng.normal(size=(2, 4)).astype(np.float32)
    m = verified(graph([fused], (2, 4), constants), x, rounding=rounding)
    apart = onnxlin.linearize(dynamic("MatMulInteger", weights, (2, 4)), x, rounding=rounding)
    assert_close(m.W, apart.W, by_hand(m, apart=True).slack + by_hand(apart, apart=True).slack)


def test_a_zero_point_that_depends_on_x(rng: np.random.Generator) -> None:
    """Fused, the integers' zero point is what it is apart: a number that moves with x."""
    constants = {
        "W": rng.integers(*SEVEN_BITS, (4, 3)).astype(np.int8),
        "ws": np.float32(0.02),
        "wz": np.int8(0),
        "u": np.float32(0.1),
        "v": np.uint8(120),
    }
    first = node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])
    last = node("DequantizeLinear", ["r", "u", "v"], ["y"])
    apart = [
        node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        node("DequantizeLinear", ["W", "ws", "wz"], ["b"]),
        node("MatMul", ["a", "b"], ["m"]),
        node("QuantizeLinear", ["m", "u", "v"], ["r"]),
    ]
    fused = [node("QLinearMatMul", ["q", "s", "z", "W", "ws", "wz", "u", "v"], ["r"])]
    x = rng.normal(size=(2, 4))
    a, b = (
        verified(graph([first, *nodes, last], (2, 4), constants), x, rounding=STRAIGHT)
        for nodes in (apart, fused)
    )
    assert_close(a.W, b.W, by_hand(a, apart=True).slack + by_hand(b, apart=True).slack)
