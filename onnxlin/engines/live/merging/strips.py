"""Rows of W through local Jacobians: a product for each row of pixels and each block of columns.

All pixels that see a block of columns of the root lie side by side in a row, and so do their lines
of cotangents: one product of them with the local Jacobians brings in what the row has to give to
the block. It is added up in a strip as high as a box, round a circle along rows; a row of the root
that no later box holds leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.engines.cores import cores
from onnxlin.engines.live.cost import CALL, RATE, SIDE
from onnxlin.engines.live.gemm import Product, alone
from onnxlin.engines.live.merging.bands import Band, Shape
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.threads import shared, spread
from onnxlin.primitives import Array

# Columns of cotangents that go through at once: what a block needs stays in the cache.
AT_ONCE = 256
# How often what leaves a strip is read or written, and entries that are moved in a second.
PASSES, MOVED = 4, 1e9
# Lines that are brought to float64 at once.
LINES = 1024


@dataclass(frozen=True, eq=False)
class Strips:
    """How cotangents go from the last tensor of a stretch to its root.

    Parameters
    ----------
    shape : Shape
        Of the local Jacobians.
    root : Places
    """

    shape: Shape
    root: Places

    @property
    def width(self) -> int:
        """Columns of a strip, from the origin."""
        blocks = (self.shape.places.shape[3] - 1) * self.shape.cone.step[1] + self.shape.period
        return max(blocks, self.shape.origin + self.root.shape[3])

    @property
    def column(self) -> int:
        """Lines of a column of a strip: channels, and rows of a box."""
        return self.shape.channels * self.shape.rows

    @property
    def lines(self) -> int:
        """Lines of a strip."""
        return self.width * self.column

    def box_bytes(self, dtype: np.dtype[Any], count: int) -> int:
        """Bytes of the boxes of so many rows of pixels, in another order."""
        lines = [self.shape.line(row) for row in range(self.shape.places.shape[2] + 1)]
        most = max(b - a for a, b in zip(lines, lines[count:] or lines[-1:], strict=False))
        return most * self.shape.size * dtype.itemsize

    def seconds(self, rows: int) -> float:
        """Estimate the products of so many rows of W, and what goes through a strip."""
        shape, places = self.shape, self.shape.places
        n = shape.cone.step[1] * self.column
        k = shape.period // shape.cone.step[1] * len(places) / (places.shape[2] * places.shape[3])
        rate = RATE * n / (n + SIDE) * k / (k + SIDE)
        calls = places.shape[2] * self.width // shape.cone.step[1] * -(-rows // AT_ONCE)
        # What leaves the strip, what is turned, and what is weighed by biases in float64.
        moved = PASSES * len(self.root) * rows + len(places) * shape.size
        moved += len(places) * rows * bool(shape.nodes)
        products = len(places) * shape.period * self.column * rows / rate
        return (calls * CALL + products + moved / MOVED) / cores()


@dataclass(frozen=True, eq=False)
class Run:
    """Some rows of W on their way through.

    Parameters
    ----------
    strips : Strips
    G : array (lines of the last tensor, K)
    out : array (lines of the root, K)
    nodes : int
    into : int array (entries of the root,), optional
        Line of ``out`` for every entry, where these are not the root's lines, and nothing is there.
    """

    strips: Strips
    G: Array
    out: Array
    nodes: int
    into: Array | None = None

    @cached_property
    def _strip(self) -> Array:
        return np.zeros((self.strips.lines, self.G.shape[1]), self.G.dtype)

    @cached_property
    def shares(self) -> Array:
        """What biases on the way bring in: ``(nodes, K)``, float64."""
        return np.zeros((self.nodes, self.G.shape[1]))

    def __call__(self, band: Band) -> None:
        """Bring in what the entries of a band have to give."""
        boxes, nodes = _turned(band)
        k = self.G.shape[1]
        size = min(AT_ONCE, -(-k // cores()))
        parts = [slice(i, min(i + size, k)) for i in range(0, k, size)]
        self._strip, self.shares  # noqa: B018  # made before threads ask

        def some(mine: Iterator[slice]) -> None:
            for part in mine:
                self._through(band, boxes, nodes, part)

        with alone():
            shared(some, parts)

    def _through(self, band: Band, boxes: Array, nodes: Array, part: slice) -> None:
        """Some columns of cotangents, a row of pixels after the other."""
        shape, column = self.strips.shape, self.strips.column
        step, width = shape.cone.step[1], shape.places.shape[3]
        add = Product(self.G[:, part], self._strip[:, part])
        flat, first, base = (
            boxes.reshape(len(boxes), shape.own * shape.rows),
            shape.places.first,
            band.first,
        )
        across = shape.period // step
        for row in range(band.low, band.high):
            line = row * width
            for block in range(width - 1 + across):
                low, high = max(block - across + 1, 0), min(block + 1, width)
                a, b = first[line + low], first[line + high]
                if a < b:
                    at = block % across * step * column
                    matrix = flat[a - base : b - base, at : at + step * column]
                    to = block * step * column
                    add(matrix, a, b, to, to + step * column, ld=flat.shape[1])
            self._leave(row, part)
        if self.nodes:
            for start in range(0, len(boxes), LINES):
                lines = slice(base + start, base + min(start + LINES, len(boxes)))
                taken = self.G[lines, part].astype(np.float64)
                self.shares[:, part] += nodes[start : start + LINES].T @ taken

    def _leave(self, row: int, part: slice) -> None:
        """Add rows of a strip to those of the root, and make room for others."""
        shape, root = self.strips.shape, self.strips.root
        step, back = shape.cone.step[0], shape.cone.back[0]
        last = row == shape.places.shape[2] - 1
        strip = self._strip.reshape(self.strips.width, shape.channels, shape.rows, self.G.shape[1])
        inside = slice(shape.origin, shape.origin + root.shape[3])
        for at in range(shape.rows if last else min(step, shape.rows)):
            place = row * step + at
            taken = strip[:, :, place % shape.rows, part]
            if 0 <= place - back < root.shape[2]:
                self._arrive(place - back, taken[inside], part)
            taken[...] = 0

    def _arrive(self, row: int, taken: Array, part: slice) -> None:
        """Add what a row of the root is sent: ``(columns, channels, some columns of K)``."""
        root, (width, channels) = self.strips.root, taken.shape[:2]
        if self.into is not None:
            self.out[self.into.reshape(root.shape)[0, :, row].T, part] = taken
            return
        a, b = root.first[row * width], root.first[(row + 1) * width]
        into = self.out[a:b, part]
        if len(into) == width * channels:
            into.reshape(taken.shape)[...] += taken
        else:
            live = root.codes[a:b] - row * width * channels
            into += taken.reshape(width * channels, taken.shape[-1])[live]


def _turned(band: Band) -> tuple[Array, Array]:
    """Boxes in the order of a strip's lines, rows round a circle; and what biases bring in.

    ``(lines, columns, channels, rows)`` and ``(lines, nodes)``, float64.
    """
    shape, boxes = band.shape, band.boxes
    found = np.empty((len(boxes), shape.own, shape.rows), boxes.dtype)
    for row in range(band.low, band.high):
        first, last = (shape.line(r) - band.first for r in (row, row + 1))
        turn = row * shape.cone.step[0] % shape.rows

        def some(part: slice, first: int = first, turn: int = turn) -> None:
            lines = slice(first + part.start, first + part.stop)
            source = boxes[lines, :, : shape.own].swapaxes(1, 2)
            found[lines, :, turn:] = source[..., : shape.rows - turn]
            found[lines, :, :turn] = source[..., shape.rows - turn :]

        spread(some, last - first, shape.size * boxes.itemsize)
    return found, boxes[..., shape.own :].sum(axis=1, dtype=np.float64)
