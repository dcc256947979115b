"""What makes local Jacobians of one tensor from those of another, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm
from typing import Any, Protocol

import numpy as np

from onnxlin.engines.cores import cores
from onnxlin.engines.live.merging.bands import Band, Shape
from onnxlin.engines.live.merging.cones import Span
from onnxlin.engines.live.threads import spread
from onnxlin.engines.live.windows import Windows
from onnxlin.primitives import Array, Conv, Diagonal, LinearMap, Select

# Entries that are copied in a second, in pieces as short as here.
COPIED = 1e9
# So many times longer take products here: their threads have less to do between two calls.
SLOWER = 1.5


class Maker(Protocol):
    """Makes boxes of a tensor from those of another."""

    def rows(self, low: int, high: int) -> tuple[int, int]:
        """Rows of the source that these rows of the target need."""

    def __call__(self, source: Band, target: Band, *, fresh: bool) -> None:
        """Add to boxes what those of the source send; where they are fresh, they are 0."""

    @property
    def seconds(self) -> float:
        """Estimate for all rows."""


@dataclass(frozen=True, eq=False)
class _Between:
    """A map from boxes of one tensor to those of another, and which pixels it reads."""

    op: LinearMap
    span: Span
    source: Shape
    target: Shape
    dtype: np.dtype[Any]

    def rows(self, low: int, high: int) -> tuple[int, int]:
        """All that is read for these."""
        return self.span.rows(low, high, self.source.places.shape[2])


@dataclass(frozen=True, eq=False)
class Products(_Between):
    """By a convolution, one row of its kernel at a time: each goes to rows of its own in a box."""

    op: Conv

    def __call__(self, source: Band, target: Band, *, fresh: bool) -> None:
        """Add products of lines, as of rows of W."""
        given = source.boxes.reshape(len(source.boxes), self.source.size)
        boxes = target.boxes.reshape(len(target.boxes), self.target.size)
        for row, at in enumerate(self.at(0)):
            size = at * self.target.row
            taken = boxes[:, size : size + self.source.size]
            op = self._cut(row, source, target)
            pull = Windows(op, False, source.places, target.places, self.dtype, self.source.size)
            pull(given, taken, fresh=False)

    def at(self, axis: int) -> list[int]:
        """Row, or column, of a box where each row, or column, of the kernel sends its first."""
        step, back = self.source.cone.step[axis], self.source.cone.back[axis]
        count, d, begin = self.op.weight.shape[2 + axis], self.op.dilations[axis], self.op.begin
        taps = (i * d - begin[axis] for i in range(count))
        return [tap * step - back + self.target.cone.back[axis] for tap in taps]

    def _cut(self, row: int, source: Band, target: Band) -> Conv:
        """One row of the kernel, between bands."""
        op = self.op
        away = row * op.dilations[0] + target.low * op.strides[0] - source.low
        return replace(
            op,
            in_shape=source.places.shape,
            out_shape=target.places.shape,
            weight=op.weight[:, :, row : row + 1],
            begin=(op.begin[0] - away, op.begin[1]),
        )

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables of weights."""
        return self._whole.table_bytes

    @property
    def seconds(self) -> float:
        """By the products."""
        return SLOWER * self._whole.seconds(self.source.size)

    @cached_property
    def _whole(self) -> Windows:
        places = self.source.places, self.target.places
        return Windows(self.op, False, *places, self.dtype, self.source.size)


@dataclass(frozen=True, eq=False)
class Copies(_Between):
    """By a map that reads one entry for each: a box is copied, times a factor."""

    def __call__(self, source: Band, target: Band, *, fresh: bool) -> None:
        """Copy lines whose boxes begin at the same row of the target's, together."""
        part = slice(target.first, target.first + len(target.boxes))
        read, at, factor = (each[part] for each in self._read)
        for place in np.unique(at[read >= 0]):
            lines = np.flatnonzero((at == place) & (read >= 0))
            rows = slice(place, place + self.source.rows)

            def some(part: slice, lines: Array = lines, rows: slice = rows) -> None:
                to = lines[part]
                boxes = source.boxes.take(read[to] - source.first, axis=0)
                if not self.plain:
                    boxes *= factor[to, None, None]
                if fresh:
                    target.boxes[to, rows] = boxes
                else:
                    target.boxes[to, rows] += boxes

            spread(some, len(lines), self.source.size * self.dtype.itemsize)

    @cached_property
    def _read(self) -> tuple[Array, Array, Array]:
        """Of each line: which it reads or -1, the row of a box where that goes, the factor."""
        flat, places = self.target.places.flat, self.source.places
        read, factor = flat, np.ones(len(flat), self.dtype)
        if isinstance(self.op, Select):
            read = self.op.index.reshape(-1)[flat]
        elif isinstance(self.op, Diagonal):
            scale = np.broadcast_to(self.op.scale, self.op.in_shape).reshape(-1)
            factor = scale[flat].astype(self.dtype)
        line = np.where(read >= 0, places.line[read], -1)
        own, other = (
            entries % (shape.places.shape[2] * shape.places.shape[3]) // shape.places.shape[3]
            * shape.cone.step[0] - shape.cone.back[0]
            for entries, shape in ((flat, self.target), (read, self.source))
        )  # fmt: skip
        return line, other - own, factor

    @cached_property
    def plain(self) -> bool:
        """Whether every factor is 1."""
        return bool((self._read[2] == 1).all())

    @property
    def seconds(self) -> float:
        """By the entries."""
        return len(self.target.places) * self.source.size / COPIED / cores()


@dataclass(frozen=True, eq=False)
class Widened:
    """The same boxes, round a wider circle."""

    source: Shape
    target: Shape

    def rows(self, low: int, high: int) -> tuple[int, int]:
        """The same."""
        return low, high

    def __call__(self, source: Band, target: Band, *, fresh: bool) -> None:
        """Copy every pixel's boxes in the few pieces that neither circle cuts."""
        own, wide = self.source.own, self.target.own
        target.boxes[..., wide:] = source.boxes[..., own:]
        width, first = self.source.places.shape[-1], self.source.places.first
        base = source.first

        def some(rows: slice) -> None:
            for row in range(source.low + rows.start, source.low + rows.stop):
                for x in range(width):
                    a, b = first[row * width + x] - base, first[row * width + x + 1] - base
                    if a < b:
                        for taken, put in self._pieces[self.source.low(x) % len(self._pieces)]:
                            target.boxes[a:b, :, put] = source.boxes[a:b, :, taken]

        each = len(source.boxes) * self.target.size * source.boxes.itemsize
        spread(some, source.high - source.low, max(each // max(source.high - source.low, 1), 1))

    @cached_property
    def _pieces(self) -> list[list[tuple[slice, slice]]]:
        """Entries of a row that are taken, and where they go, by the column a box begins at."""
        periods = self.source.period, self.target.period
        return [list(self._cut(low, *periods)) for low in range(lcm(*periods))]

    def _cut(self, low: int, old: int, new: int) -> Iterator[tuple[slice, slice]]:
        at, end, c = low, low + self.source.cone.size[1], self.source.channels
        while at < end:
            size = min(end - at, old - at % old, new - at % new)
            starts = (at % old) * c, (at % new) * c
            yield tuple(slice(start, start + size * c) for start in starts)  # type: ignore[misc]
            at += size

    @property
    def seconds(self) -> float:
        """By the entries."""
        return len(self.target.places) * self.target.size / COPIED / cores()


@dataclass(frozen=True, eq=False)
class Points:
    """Boxes of the root itself: each entry sees itself alone."""

    target: Shape

    def __call__(self, target: Band) -> None:
        """Put ones."""
        places, c = self.target.places, self.target.channels
        lines = slice(target.first, target.first + len(target.boxes))
        pixel, channel = np.divmod(places.codes[lines], c)
        column = (pixel % places.shape[-1] + self.target.origin) % self.target.period
        target.boxes[np.arange(len(pixel)), 0, column * c + channel] = 1


def maker(
    op: LinearMap, span: Span, source: Shape, target: Shape, dtype: np.dtype[Any]
) -> Products | Copies:
    """What makes boxes of the output of a map from those of its input."""
    kind = Products if isinstance(op, Conv) else Copies
    return kind(op, span, source, target, dtype)  # type: ignore[arg-type]
