"""Small nets and instances that the tests of the readings share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.installed import require
from tests.small import model

FIXTURES = Path(__file__).parents[2] / "fixtures"
NETS = ("lenet5_mnist", "cnn_bn_mnist", "alexnet_mnist", "resnet_fashion", "densenet_fashion")


def pictures(prefix: str) -> np.ndarray:
    """The pictures of one data set, ``(N, 1, 28, 28)``, 0 to 1."""
    image = pytest.importorskip("PIL.Image")
    files = sorted(FIXTURES.glob(f"{prefix}_*.png"))
    return np.stack([np.asarray(image.open(file))[None] for file in files]).astype(np.float32) / 255


def given(name: str) -> tuple[str, np.ndarray]:
    """A trained net, and one picture for it."""
    require(FIXTURES / f"{name}.onnx")
    prefix = "digit" if name.endswith("mnist") else "garment"
    return str(FIXTURES / f"{name}.onnx"), pictures(prefix)[7:8]


def filled(text: str, seed: int = 0, **shapes: tuple[int, ...]) -> onnx.ModelProto:
    """Parse a graph and fill initialisers in with random numbers."""
    proto, rng = model(text), np.random.default_rng(seed)
    for name, shape in shapes.items():
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def bias_free() -> onnx.ModelProto:
    """Convolution, pool, skip and dense layers, none with a bias."""
    return filled(
        "g (float[1,1,8,8] x) => (float[1,3] y) "
        "<int64[2] flat = {1, 64}, float six = {6}, "
        "float[4,1,3,3] k, float[4,4,3,3] q, float[64,3] w> { "
        "a = Conv<pads=[1,1,1,1]>(x, k) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a) "
        "l = LeakyRelu<alpha=0.1>(p) c = Conv<pads=[1,1,1,1]>(l, q) r = Relu(c) s = Add(r, p) "
        "f = Reshape(s, flat) d = Div(f, six) y = MatMul(d, w) }",
        k=(4, 1, 3, 3),
        q=(4, 4, 3, 3),
        w=(64, 3),
    )
