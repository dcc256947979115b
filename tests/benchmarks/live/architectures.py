"""Well-known architectures with seeded weights, written in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import onnx

from tests.benchmarks.live.builder import Net


def resnet18(rows: int, size: int) -> onnx.ModelProto:
    """He et al., arXiv 1512.03385, table 1."""
    net = Net((3, size, size), 18)
    x = net.pool(net.relu(net.conv("x", 64, 7, 2)), 3, 2, 1)
    for i, channels in enumerate((64, 128, 256, 512)):
        for stride in (2 if i else 1, 1):
            short = x if stride == 1 else net.conv(x, channels, 1, 2)
            inner = net.relu(net.conv(x, channels, 3, stride))
            x = net.relu(net("Add", net.conv(inner, channels, 3), short))
    return net.model(net.dense(net.mean(x), rows, 1))


def densenet121(rows: int, size: int) -> onnx.ModelProto:
    """Huang et al., arXiv 1608.06993, table 1: growth 32, bottlenecks of 128."""
    net = Net((3, size, size), 121)
    x = net.pool(net.relu(net.conv("x", 64, 7, 2)), 3, 2, 1)
    for i, layers in enumerate((6, 12, 24, 16)):
        if i:
            half = net.value(x).shape[1] // 2
            narrow = net.conv(net.relu(net.norm(x)), half, 1, norm=False)
            x = net.pool(narrow, 2, 2, op="AveragePool")
        for _ in range(layers):
            inner = net.relu(net.conv(net.relu(net.norm(x)), 128, 1))
            x = net("Concat", x, net.conv(inner, 32, 3, norm=False), axis=1)
    return net.model(net.dense(net.mean(net.relu(net.norm(x))), rows, 1))


def mobilenet(rows: int, size: int) -> onnx.ModelProto:
    """As MobileNetV2 of Sandler et al., arXiv 1801.04381, table 2: depthwise kernels, ReLU6."""
    net = Net((3, size, size), 2)
    x = net.clip(net.conv("x", 32, 3, 2))
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
              (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
    for factor, channels, count, first in stages:
        for stride in (first, *[1] * (count - 1)):
            inside = net.value(x).shape[1]
            wide = x if factor == 1 else net.clip(net.conv(x, factor * inside, 1))
            width = factor * inside
            deep = net.clip(net.conv(wide, width, 3, stride, group=width))
            narrow = net.conv(deep, channels, 1)
            x = net("Add", x, narrow) if stride == 1 and inside == channels else narrow
    return net.model(net.dense(net.mean(net.clip(net.conv(x, 1280, 1))), rows, 1))


def alexnet(rows: int, size: int) -> onnx.ModelProto:
    """Krizhevsky, arXiv 1404.5997: one tower, no local normalisation."""
    net = Net((3, size, size), 8)
    x = net.pool(net.relu(net.conv("x", 64, 11, 4, pad=2, norm=False)), 3, 2)
    x = net.pool(net.relu(net.conv(x, 192, 5, norm=False)), 3, 2)
    for channels in (384, 256, 256):
        x = net.relu(net.conv(x, channels, 3, norm=False))
    x = net("Flatten", net.pool(x, 3, 2))
    for _ in range(2):
        x = net.relu(net.dense(x, 4096))
    return net.model(net.dense(x, rows, 1))


def fires(rows: int, size: int) -> onnx.ModelProto:
    """As SqueezeNet 1.1 of Iandola et al., arXiv 1602.07360, at any size and number of rows."""
    net = Net((3, size, size), 11)
    x = net.pool(net.relu(net.conv("x", 64, 3, 2, pad=0, norm=False)), 3, 2)
    for i, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        x = net.pool(x, 3, 2) if i in (2, 4) else x
        narrow = net.relu(net.conv(x, squeezed, 1, norm=False))
        wide = [net.relu(net.conv(narrow, 4 * squeezed, k, norm=False)) for k in (1, 3)]
        x = net("Concat", *wide, axis=1)
    return net.model(net.mean(net.relu(net.conv(x, rows, 1, norm=False))))


def vit_base(rows: int, size: int) -> onnx.ModelProto:
    """Dosovitskiy et al., arXiv 2010.11929, table 1: Base, patches of 16 x 16."""
    return vit(rows, size, width=768, heads=12, layers=12)


def vit(rows: int, size: int, *, width: int, heads: int, layers: int) -> onnx.ModelProto:
    """An encoder over patches, read at the class token."""
    net = Net((3, size, size), 16)
    tokens = (size // 16) ** 2 + 1
    patches = net.conv("x", width, 16, 16, pad=0, norm=False)
    lines = net("Reshape", patches, net.weight(np.array([0, width, -1])))
    turned = net("Transpose", lines, perm=[0, 2, 1])
    # A line of zeros before the patches: with its position added it is the class token.
    padded = net("Pad", turned, net.weight(np.array([0, 1, 0, 0, 0, 0])))
    x = net("Add", padded, net.weight(net.rng.normal(size=(1, tokens, width))))
    for _ in range(layers):
        x = net("Add", x, _attention(net, _normal(net, x), width, heads, tokens))
        wide = net.gelu(net.dense(_normal(net, x), 4 * width, 1))
        x = net("Add", x, net.dense(wide, width, 1))
    first = net("Gather", _normal(net, x), net.weight(np.array(0)), axis=1)
    return net.model(net.dense(first, rows, 1))


def _normal(net: Net, x: str) -> str:
    width = net.value(x).shape[-1]
    scale, bias = net.rng.uniform(0.5, 1.5, width), net.rng.normal(size=width) / 10
    return net("LayerNormalization", x, net.weight(scale), net.weight(bias), axis=-1)


def _attention(net: Net, x: str, width: int, heads: int, tokens: int) -> str:
    each = width // heads
    apart = net.weight(np.array([0, tokens, heads, each]))
    q, k, v = (
        net("Transpose", net("Reshape", net.dense(x, width, 1), apart), perm=perm)
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    )
    scores = net("Mul", net("MatMul", q, k), net.weight(np.float32(1 / sqrt(each))))
    mixed = net("Transpose", net("MatMul", net("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    joined = net("Reshape", mixed, net.weight(np.array([0, tokens, width])))
    return net.dense(joined, width, 1)


Maker = Callable[[int, int], onnx.ModelProto]
ARCHITECTURES: dict[str, Maker] = {
    "resnet18": resnet18,
    "densenet121": densenet121,
    "mobilenet": mobilenet,
    "vit": vit_base,
    "alexnet": alexnet,
    "fires": fires,
}
