"""Pooling."""

from __future__ import annotations

from typing import Any

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.makers.weights import channels, window
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


@maker("AveragePool")
def average_pool(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, channels)
    given = pooling(g, g.shape(x)[2:]) | g.some(count_include_pad=g.integer(0, 1))
    if g.opset < 19:
        given.pop("dilations", None)
    g.add(op_type, [x], **given)


@maker("GlobalMaxPool", "GlobalAveragePool")
def global_pool(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick(3, 5, channels)])
