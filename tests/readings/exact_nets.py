"""Nets of small integers in float64: what judges say of them is exact."""

from __future__ import annotations

import numpy as np
import onnx

from tests.small import model


def _with(text: str, **arrays: np.ndarray) -> onnx.ModelProto:
    proto = model(text)
    for name, array in arrays.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float64), name))
    return proto


def linear(seed: int = 0, features: int = 12) -> tuple[onnx.ModelProto, np.ndarray]:
    """``y = A x + a`` of two outputs, and an x."""
    rng = np.random.default_rng(seed)
    text = (
        f"g (double[1,{features}] x) => (double[1,2] y) <double[{features},2] A, double[2] a> "
        "{ [only] y = Gemm(x, A, a) }"
    )
    A, a = rng.integers(-4, 5, (features, 2)), rng.integers(1, 4, 2)
    return _with(text, A=A, a=a), rng.integers(1, 6, (1, features)).astype(np.float64)


def alive(seed: int = 0, features: int = 12) -> tuple[onnx.ModelProto, np.ndarray]:
    """A ReLU net all of whose units stay on wherever x has some entries at 0."""
    rng = np.random.default_rng(seed)
    text = (
        f"g (double[1,{features}] x) => (double[1,2] y) "
        f"<double[{features},6] A, double[6] a, double[6,2] B> "
        "{ [first] h = Gemm(x, A, a)  [act] r = Relu(h)  [last] y = MatMul(r, B) }"
    )
    A, B = rng.integers(-2, 3, (features, 6)), rng.integers(-3, 4, (6, 2))
    return _with(text, A=A, a=np.full(6, 500), B=B), rng.integers(1, 6, (1, features)) * 1.0


def reach(proto: onnx.ModelProto, row: int) -> np.ndarray:
    """``|A| |B|`` of `bent`: what the products of any of its maps add up to, whatever is on."""
    A, B = (
        np.abs(onnx.numpy_helper.to_array(t)) for t in proto.graph.initializer if t.name in "AB"
    )
    sizes: np.ndarray = (A @ B)[:, row]
    return sizes


def bent(seed: int = 0, features: int = 12) -> tuple[onnx.ModelProto, np.ndarray]:
    """A ReLU net whose units go on and off."""
    rng = np.random.default_rng(seed)
    text = (
        f"g (double[1,{features}] x) => (double[1,2] y) "
        f"<double[{features},20] A, double[20] a, double[20,2] B> "
        "{ [first] h = Gemm(x, A, a)  [act] r = Relu(h)  [last] y = MatMul(r, B) }"
    )
    A, B = rng.normal(size=(features, 20)), rng.normal(size=(20, 2))
    return _with(text, A=A, a=rng.normal(size=20), B=B), rng.normal(size=(1, features))
