"""A small VGG whose biases are shifted until a given part of its multiplications is live.

It halves its sides by means, not by maxima: of a maximum's window three entries in four are dead
whatever the biases are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin.engines.live.plan import Plan
from tests.benchmarks.live.builder import Net
from tests.benchmarks.live.share import Count, count

Array = np.ndarray[Any, Any]
SIZE = 64
CHANNELS = ((32, 32), (64, 64), (128, 128, 128))
NEAR = 0.005
STEPS = 10


def small_vgg(part: float, rows: int, x: Array) -> onnx.ModelProto:
    """Write the network with this part of every channel's pixels live at x (1, 3, H, H)."""
    net = Net(x.shape[1:], 3, x)
    y = "x"
    for i, stage in enumerate(CHANNELS):
        y = net.pool(y, 2, 2, op="AveragePool") if i else y
        for channels in stage:
            z = net.conv(y, channels, 3)
            shift = threshold(net.value(z)[0], part)
            y = net.relu(net("Add", z, net.weight(shift[:, None, None])))
    return net.model(net.dense(net.mean(y), rows, 1))


def threshold(z: Array, part: float) -> Array:
    """Shift of every channel that leaves this part of its pixels above 0, and none near it."""
    ordered = np.sort(z.reshape(len(z), -1), axis=1)
    gap = ordered[:, -1:] - ordered[:, :1] + 1
    ends = np.concatenate([ordered[:, :1] - gap, ordered, ordered[:, -1:] + gap], axis=1)
    dead = round((1 - part) * ordered.shape[1])
    return -(ends[:, dead] + ends[:, dead + 1]) / 2


def counted(model: onnx.ModelProto, x: Array, rows: int) -> Count:
    """What is live in a model at x."""
    m = onnxlin.linearize(model, x, rows=range(rows), engine="live")
    job = m.made_from("a count of what is live").job
    return count(Plan(job.program, job.seeds))


def with_share(share: float, rows: int, x: Array) -> onnx.ModelProto:
    """Find the network with a live share; halving the interval of parts.

    Raises
    ------
    ValueError
        None is near it.
    """
    return _search(share, rows, x.tobytes(), x.shape)


@cache
def _search(share: float, rows: int, raw: bytes, shape: tuple[int, ...]) -> onnx.ModelProto:
    x = np.frombuffer(raw, np.float32).reshape(shape)
    low, high, part = 0.0, 1.0, min(1.0, float(np.sqrt(share)))
    for _ in range(STEPS):
        made = small_vgg(part, rows, x)
        found = counted(made, x, rows).share
        if abs(found - share) <= NEAR:
            return made
        low, high = (part, high) if found < share else (low, part)
        part = (low + high) / 2
    raise ValueError(f"no part of live pixels gives a share of {share:g}: the last {found:g}")
