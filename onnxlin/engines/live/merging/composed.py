"""Local Jacobians of a second convolution, without those of the first.

``x -> Conv -> ReLU -> Conv``: every entry of one output channel has the same weights, and differs
from the others only in which of the units that it reads are alive. So one product makes them all:
a line for each, that says which are alive, times what each unit sends to the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.cores import cores
from onnxlin.engines.live.cost import RATE
from onnxlin.engines.live.gemm import alone
from onnxlin.engines.live.merging.bands import Band
from onnxlin.engines.live.merging.makers import COPIED, Products
from onnxlin.engines.live.threads import spread
from onnxlin.primitives import Array


@dataclass(frozen=True, eq=False)
class Composed:
    """Makes boxes of the second of two convolutions.

    Parameters
    ----------
    first, second : Products
        What would make those of the first of the root's, and those of the second of the first's.
    bias : (array (channels of the first,), slot of its node) or None
    """

    first: Products
    second: Products
    bias: tuple[Array, int] | None

    @classmethod
    def of(
        cls, first: Products, second: Products, bias: Array | None, slot: int
    ) -> Composed | None:
        """Compose them, if all entries of the root are alive and a bias is one of channels."""
        root, channels = first.source.places, first.op.weight.shape[0]
        if len(root) < prod(root.shape) or second.op.dilations[1] > 1:
            return None
        if bias is None:
            return cls(first, second, None)
        wide = bias.reshape((1,) * (len(first.target.places.shape) - bias.ndim) + bias.shape)
        if wide.size != wide.shape[1] or wide.size not in (1, channels):
            return None
        return cls(first, second, (np.broadcast_to(wide.ravel(), channels), slot))

    def __call__(self, target: Band) -> None:
        """Put boxes, a channel and a phase of the circle at a time."""
        shape, op = target.shape, self.second.op
        lines = slice(target.first, target.first + len(target.boxes))
        pixel, channel = np.divmod(shape.places.codes[lines], shape.places.shape[1])
        y, x = np.divmod(pixel, shape.places.shape[3])
        phase = (x * shape.cone.step[1] - shape.cone.back[1] + shape.origin) % shape.period
        alive = self._alive(target.low, target.high)
        y = (y - target.low) * op.strides[0]
        x = x * op.strides[1]
        order = np.lexsort((phase, channel))
        group = channel[order] * shape.period + phase[order]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        parts = list(zip(starts, [*starts[1:], len(order)], strict=True))
        boxes = target.boxes.reshape(len(target.boxes), shape.size)

        def some(part: slice) -> None:
            for a, b in parts[part]:
                own = order[a:b]
                taken = alive[y[own], x[own]].reshape(b - a, -1)
                table = self._table(int(channel[own[0]]), int(phase[own[0]]))
                boxes[own] = taken @ table

        # A part for each group: they are long beside a call.
        with alone():
            spread(some, len(parts), 2**18)

    def _alive(self, low: int, high: int) -> Array:
        """1 where a unit of the first is alive: what each place of the kernel meets.

        ``(rows, columns, kernel rows, kernel columns * channels)``, a view; row 0 is that of the
        first tap at the first row of the band.
        """
        op, places = self.second.op, self.first.target.places
        _, c, height, width = places.shape
        reach = (op.weight.shape[2] - 1) * op.dilations[0] + 1
        top, left = low * op.strides[0] - op.begin[0], op.begin[1]
        rows = (high - low - 1) * op.strides[0] + reach
        columns = (self.second.target.places.shape[3] - 1) * op.strides[1] + op.weight.shape[3]
        found = np.zeros((rows, max(columns, left + width), c), self.second.dtype)
        first, last = max(top, 0), min(top + rows, height)
        if first < last:
            a, b = places.first[first * width], places.first[last * width]
            dense = np.zeros((last - first) * width * c, found.dtype)
            dense[places.codes[a:b] - first * width * c] = 1
            inside = dense.reshape(last - first, width, c)
            found[first - top : last - top, left : left + width] = inside
        row, column, item = found.strides
        sizes = rows - reach + 1, columns - op.weight.shape[3] + 1
        return np.lib.stride_tricks.as_strided(
            found,
            (*sizes, op.weight.shape[2], op.weight.shape[3] * c),
            (row, column, row * op.dilations[0], item),
            writeable=False,
        )

    def _table(self, channel: int, phase: int) -> Array:
        """What each unit that an entry reads sends to its box: ``(units, entries of a box)``."""
        shape, plain = self.second.target, self._plain[channel]
        found = np.zeros((len(plain), shape.rows, shape.row), plain.dtype)
        at = (phase + np.arange(shape.cone.size[1])) % shape.period
        size = shape.cone.size[1] * shape.channels
        boxes = plain[..., :size].reshape(len(plain), shape.rows, -1, shape.channels)
        found[..., : shape.own].reshape(*found.shape[:2], shape.period, -1)[:, :, at] = boxes
        found[..., shape.own :] = plain[..., size:]
        return found.reshape(len(plain), shape.size)

    @cached_property
    def _plain(self) -> Array:
        """The same for each channel, columns counted from where a box begins."""
        shape, weight = self.second.target, self.second.op.weight
        m, c, height, width = weight.shape
        size = shape.cone.size[1] * shape.channels
        found = np.zeros((m, height, width, c, shape.rows, size + shape.nodes), self.second.dtype)
        inner = self.first.op.weight  # (c, channels, ...)
        for ky, kx, qy, qx in np.ndindex(height, width, *inner.shape[2:]):
            row = self.second.at(0)[ky] + self.first.at(0)[qy]
            column = (self.second.at(1)[kx] + self.first.at(1)[qx]) * shape.channels
            made = weight[:, :, ky, kx, None] * inner[:, :, qy, qx]
            found[:, ky, kx, :, row, column : column + shape.channels] += made
        if self.bias is not None:
            values, slot = self.bias
            for ky, kx in np.ndindex(height, width):
                found[:, ky, kx, :, 0, size + slot] = weight[:, :, ky, kx] * values
        return found.reshape(m, height * width * c, shape.rows, size + shape.nodes)

    @property
    def held_bytes(self) -> int:
        """Bytes of what is kept of weights, and of what says which units are alive, twice."""
        shape, weight = self.second.target, self.second.op.weight
        row = shape.cone.size[1] * shape.channels + shape.nodes
        alive = 2 * prod(self.first.target.places.shape)
        # Of one channel and phase at a time, by each thread: at most all pixels.
        pixels = prod(shape.places.shape[2:]) // min(shape.period, shape.places.shape[3])
        taken = cores() * pixels * (weight[0].size + shape.size)
        return (weight.size * shape.rows * row + alive + taken) * self.second.dtype.itemsize

    @property
    def seconds(self) -> float:
        """By the products, and by which are alive."""
        shape, units = self.second.target, self.second.op.weight[0].size
        return len(shape.places) * units * (shape.size / RATE + 1 / COPIED) / cores()


def composed(first: Any, second: Any, bias: Array | None, slot: int) -> Composed | None:
    """Compose what makes two stages, if both are convolutions."""
    if isinstance(first, Products) and isinstance(second, Products):
        return Composed.of(first, second, bias, slot)
    return None
