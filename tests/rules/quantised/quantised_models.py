"""Small quantised graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin.primitives import Array
from tests.agree import assert_close
from tests.twin import by_hand

FLOAT = onnx.TensorProto.FLOAT
MICROSOFT = "com.microsoft"
X4 = (2, 3, 4, 4)
node = onnx.helper.make_node


def verified(model: Any, x: Array, **options: Any) -> onnxlin.AffineMap:
    """The map by the explicit engine in float32, verified; in float64 it must be the same."""
    m = onnxlin.linearize(model, x, engine="explicit", **options).verify()
    wide = onnxlin.linearize(model, x, engine="reverse", dtype=np.float64, **options).verify()
    assert_close(m.W, wide.W, by_hand(m, apart=True).slack)
    return m


def graph(
    nodes: list[onnx.NodeProto],
    shape: tuple[int, ...],
    constants: dict[str, Any],
    kind: int = FLOAT,
) -> onnx.ModelProto:
    """Model of one input ``x`` whose constants are arrays or tensors."""
    helper = onnx.helper
    stored = [
        value
        if isinstance(value, onnx.TensorProto)
        else onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in constants.items()
    ]
    given = [helper.make_tensor_value_info("x", kind, shape)]
    made = [onnx.ValueInfoProto(name="y")]
    body = helper.make_graph(nodes, "quantised", given, made, stored)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(body, opset_imports=imports, ir_version=10)


# Processors without VNNI saturate the sum of two products of eight bits each, and no map equals
# that: onnxruntime's documentation advises weights of seven bits there.
SEVEN_BITS = (-63, 64)
SCALES = {"s": np.float32(0.03), "z": np.uint8(100), "t": np.float32(0.05), "w": np.uint8(120)}


def between(
    inner: onnx.NodeProto,
    shape: tuple[int, ...],
    constants: dict[str, Any] | None = None,
    scale: str = "s",
    zero: str = "z",
) -> onnx.ModelProto:
    """One operator between quantised x (``q``), quantised x / 2 (``p``) and dequantised ``o``."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("Mul", ["x", "half"], ["h"]),
        node("QuantizeLinear", ["h", "t", "w"], ["p"]),
        inner,
        node("DequantizeLinear", ["o", scale, zero], ["y"]),
    ]
    return graph(nodes, shape, {**SCALES, "half": np.float32(0.5), **(constants or {})})


def dense(rng: np.random.Generator) -> tuple[onnx.ModelProto, onnx.ModelProto, Array]:
    """One layer in QDQ form and as QLinearMatMul, and its float weights: (4) -> (3)."""
    codes = rng.integers(*SEVEN_BITS, (4, 3)).astype(np.int8)
    scales = rng.uniform(0.01, 0.02, 3).astype(np.float32)
    constants = {
        "s": np.float32(0.03),
        "z": np.uint8(128),
        "W": codes,
        "ws": scales,
        "wz": np.zeros(3, np.int8),
        "u": np.float32(0.1),
    }
    first = node("QuantizeLinear", ["x", "s", "z"], ["q"])
    last = node("DequantizeLinear", ["r", "u", "z"], ["y"])
    apart = [
        first,
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["W", "ws", "wz"], ["v"], axis=1),
        node("MatMul", ["d", "v"], ["m"]),
        node("QuantizeLinear", ["m", "u", "z"], ["r"]),
        last,
    ]
    fused = [first, node("QLinearMatMul", ["q", "s", "z", "W", "ws", "wz", "u", "z"], ["r"]), last]
    shape = (2, 4)
    return graph(apart, shape, constants), graph(fused, shape, constants), codes * scales
