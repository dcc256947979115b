"""Products with constant matrices and kernels, and batch normalisation."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import maker


def window(g: Grow, spatial: Shape, *, small_pads: bool = False) -> dict[str, Any]:
    """Kernel, strides, dilations and pads that fit the spatial axes.

    With SAME, onnxruntime has neither dilations nor strides longer than the kernel.
    """
    dims = len(spatial)
    kernel = [g.integer(1, min(3, n)) for n in spatial]
    given: dict[str, Any] = {"kernel_shape": kernel}
    given |= g.some(strides=[g.integer(1, 3) for _ in kernel])
    fits = [n >= 2 * k - 1 for n, k in zip(spatial, kernel, strict=True)]
    given |= g.some(dilations=[g.integer(1, 2) if fit else 1 for fit in fits])
    most = [k - 1 if small_pads else 2 for k in kernel]
    auto = g.choice(None, "pads", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    if auto in (None, "pads"):
        pads = [g.integer(0, n) for n in 2 * most]
        return given | ({"pads": pads} if auto else {})
    if auto.startswith("SAME"):
        given.pop("dilations", None)
        strides = given.get("strides", [1] * dims)
        given["strides"] = [min(s, k) for s, k in zip(strides, kernel, strict=True)]
    return given | {"auto_pad": auto}


def channels(shape: Shape) -> bool:
    """Whether a shape is (N, C, *spatial) without empty axes."""
    return len(shape) >= 3 and prod(shape) > 0


@maker("Conv")
def conv(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, channels)
    _, c, *spatial = g.shape(x)
    geometry = window(g, tuple(spatial))
    kernel = geometry["kernel_shape"]
    group = g.choice(*(n for n in (1, 2, 3, 4) if c % n == 0))
    m = group * g.integer(1, 2)
    weight = g.weight(m, c // group, *kernel, fan=c // group * prod(kernel))
    if g.flag():
        del geometry["kernel_shape"]
    g.add(op_type, [x, weight, *g.choice((), (g.weight(m),))], group=group, **geometry)


@maker("ConvTranspose")
def conv_transpose(g: Grow, op_type: str) -> None:
    x = g.pick(3, 5, lambda shape: channels(shape) and max(shape[2:]) <= 4)
    _, c, *spatial = g.shape(x)
    kernel = [g.integer(1, 3) for _ in spatial]
    strides = [g.integer(1, 2) for _ in spatial]
    dilations = [g.integer(1, 2) for _ in spatial]
    given: dict[str, Any] = {"strides": strides, "dilations": dilations}
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    full = [(n - 1) * s + r for n, s, r in zip(spatial, strides, reach, strict=True)]
    form = g.choice("none", "pads", "output_padding", "auto_pad", "output_shape")
    if form == "pads":
        given["pads"] = [g.integer(0, min(1, (n - 1) // 2)) for n in full * 2]
    elif form == "output_padding":
        given["output_padding"] = [g.integer(0, s - 1) for s in strides]
    elif form == "auto_pad":
        same = all(r >= s for r, s in zip(reach, strides, strict=True))
        autos = ("VALID", "SAME_UPPER", "SAME_LOWER") if same else ("VALID",)
        given["auto_pad"] = g.choice(*autos)
    elif form == "output_shape":
        given["output_shape"] = [max(n - g.integer(0, 1), 1) for n in full]
        given |= g.some(auto_pad=g.choice("SAME_UPPER", "SAME_LOWER"))
    group = g.choice(*(n for n in (1, 2, 3) if c % n == 0))
    m = g.integer(1, 2)
    weight = g.weight(c, m, *kernel, fan=c // group)
    bias = g.choice((), (g.weight(m * group),))
    g.add(op_type, [x, weight, *bias], group=group, **given, **g.some(kernel_shape=kernel))


@maker("BatchNormalization")
def batch_normalization(g: Grow, op_type: str) -> None:
    x = g.pick(2, 5, lambda shape: prod(shape) > 0)
    c = g.shape(x)[1]
    statistics = [g.weight(c), g.weight(c), g.weight(c), g.floats(g.rng.uniform(0.5, 2, c))]
    g.add(op_type, [x, *statistics], **g.some(epsilon=np.float32(0.01), momentum=0.5))
