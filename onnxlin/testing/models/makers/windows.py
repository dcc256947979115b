"""Pooling."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.parser

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.makers.weights import channels, window
from onnxlin.testing.models.running import run
from onnxlin.testing.models.table import maker


def pooling(g: Grow, spatial: tuple[int, ...]) -> dict[str, Any]:
    given = window(g, spatial, small_pads=True)
    # With SAME the output size is fixed; ceil_mode has a meaning for explicit pads only.
    return given if given.get("auto_pad", "NOTSET") != "NOTSET" else given | g.some(ceil_mode=1)


@maker("MaxPool")
def max_pool(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, channels)
    given = pooling(g, g.shape(x)[2:]) | g.some(storage_order=g.integer(0, 1))
    g.add(op_type, [x], g.integer(1, 2), **given)


@cache
def counts_overhang() -> bool:
    """Whether AveragePool before version 19 divides by taps that only ceil_mode puts outside.

    It does in some onnxruntimes, and there no two operator sets agree.
    """
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[1,1,3] x) => (float[1,1,2] y) '
        "{ y = AveragePool<kernel_shape=[2], strides=[2], ceil_mode=1, count_include_pad=1>(x) }"
    )
    return bool(run(model, {"x": np.full((1, 1, 3), 2, np.float32)})[0][0, 0, 1] != 2)


@maker("AveragePool")
def average_pool(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, channels)
    given = pooling(g, g.shape(x)[2:]) | g.some(count_include_pad=g.integer(0, 1))
    if g.opset < 19:
        given.pop("dilations", None)
        if given.get("count_include_pad") and counts_overhang():
            given.pop("ceil_mode", None)
    g.add(op_type, [x], **given)


@maker("GlobalMaxPool", "GlobalAveragePool")
def global_pool(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick(3, 5, channels)])
