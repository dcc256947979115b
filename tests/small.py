"""Small models written as ONNX text."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

HEAD = '<ir_version: 8, opset_import: ["": {opset}, "com.example": 1]>\n'


def model(text: str, opset: int = 18) -> onnx.ModelProto:
    """Parse ``g (inputs) => (outputs) <initialisers> { nodes }``."""
    return onnx.parser.parse_model(HEAD.format(opset=opset) + text)


def zoo(folder: str) -> list[Path]:
    """Models of a folder; every n-th with ONNXLIN_ZOO_EVERY=n. None of no folder."""
    every = int(os.environ.get("ONNXLIN_ZOO_EVERY", "1"))
    return sorted(Path(folder).rglob("*.onnx"))[::every] if folder else []


def mlp() -> onnx.ModelProto:
    """Two layers: x of shape (1, 3), y of shape (1, 2)."""
    rng = np.random.default_rng(0)
    proto = model(
        "g (float[1,3] x) => (float[1,2] y) "
        "<float[3,4] A, float[4] a, float[4,2] B> "
        "{ [first] h = Gemm(x, A, a)  [act] r = Relu(h)  [last] y = MatMul(r, B) }"
    )
    for name, shape in (("A", (3, 4)), ("a", (4,)), ("B", (4, 2))):
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


# Three of the four units of the layer are alive.
X = np.array([[-1.0, 2.0, 0.5]], np.float32)
