"""Normalisations by statistics of the data."""

from __future__ import annotations

import numpy as np

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.makers.weights import channels
from onnxlin.testing.models.makers.windows import pooling
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import maker


def spread(shape: Shape) -> bool:
    """Whether a shape is (N, C, *spatial) with something to take statistics of."""
    return channels(shape) and int(np.prod(shape[2:])) > 1


@maker("LayerNormalization")
def layer_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: 0 not in shape and shape[-1] > 1)
    shape = g.shape(x)
    axis = g.integer(0, len(shape) - 1)
    inner = shape[axis:]
    further = g.choice((), (g.weight(*inner),))
    g.add(op_type, [x, g.weight(*inner), *further], axis=axis, **g.some(epsilon=np.float32(0.01)))


@maker("RMSNormalization")
def rms_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: 0 not in shape)
    axis = g.axis(g.shape(x))
    weight = g.weight(*g.shape(x)[axis % len(g.shape(x)) :])
    g.add(op_type, [x, weight], axis=axis, epsilon=np.float32(0.01))


@maker("InstanceNormalization")
def instance_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, spread)
    c = g.shape(x)[1]
    g.add(op_type, [x, g.weight(c), g.weight(c)], epsilon=np.float32(0.01))


@maker("GroupNormalization", since=21)  # its scale was another one before
def group_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, spread)
    c = g.shape(x)[1]
    groups = g.choice(*(n for n in (1, 2, 3) if c % n == 0))
    inputs = [x, g.weight(c), g.weight(c)]
    g.add(op_type, inputs, num_groups=groups, epsilon=np.float32(0.01))


@maker("MeanVarianceNormalization")
def mean_variance_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(4, 4, spread)
    # Noise, so that no slice is constant.
    x = g.add("Add", [x, g.weight(*g.shape(x))])
    g.add(op_type, [x], axes=[2, 3])


@maker("LpNormalization")
def lp_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: 0 not in shape)
    x = g.between(x, 0.5, 1.5)
    g.add(op_type, [x], **g.some(axis=g.axis(g.shape(x)), p=g.integer(1, 2)))


@maker("LRN")
def local_response_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(4, 4, channels)
    g.add(op_type, [g.tame(x)], size=g.choice(3, 1, 5), **g.some(alpha=0.25, beta=0.5, bias=2.0))


# onnxruntime has no kernel of the newest form.
@maker("GlobalLpPool", until=21)
def global_lp_pool(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, channels)
    g.add(op_type, [g.between(x, 0.5, 1.5)], **g.some(p=g.integer(1, 3)))


@maker("LpPool")
def lp_pool(g: Grow, op_type: str) -> None:
    x = g.between(g.pick(3, 5, channels), 0.5, 1.5)
    given = pooling(g, g.shape(x)[2:])
    if g.opset < 18:
        given = {k: v for k, v in given.items() if k not in ("dilations", "ceil_mode")}
    g.add(op_type, [x], **given, **g.some(p=g.integer(1, 3)))
