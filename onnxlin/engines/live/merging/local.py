"""Local Jacobians of a stretch: made once, a band of rows at a time, for all rows of W."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.engines.live.links import Link
from onnxlin.engines.live.merging.bands import Band, Shape
from onnxlin.engines.live.merging.composed import Composed, composed
from onnxlin.engines.live.merging.cones import POINT
from onnxlin.engines.live.merging.makers import (
    Maker,
    Points,
    Products,
    Widened,
    maker,
)
from onnxlin.engines.live.merging.periods import periods
from onnxlin.engines.live.merging.stretch import Piece, Stretch
from onnxlin.primitives import Array

# Bytes of boxes that are kept at once, where a single row of pixels needs no more: the more rows
# of pixels are made at once, the less often threads wait for each other.
KEPT = 2**29

# Bytes of boxes that are put to 0 in a second, touched for the first time or not.
BYTES = 3e9

# Bytes for each line of a band that say where it is and what it reads.
INDEX = 100

Key = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Stage:
    """A tensor's boxes of one period, and what makes them; none for the root's.

    Parameters
    ----------
    key : (tensor, period)
    shape : Shape
    makers : tuple of (key of the source, Maker)
    link : Link or None
        Of which they are, with its bias; None for wider boxes, and for those of the root.
    composed : Composed or None
        What makes them, in the place of all makers, of no other boxes.
    """

    key: Key
    shape: Shape
    makers: tuple[tuple[Key, Maker], ...]
    link: Link | None = None
    composed: Composed | None = None


@dataclass(frozen=True)
class Turn:
    """Rows of a stage: those from ``kept`` to ``low`` are there, those from there on are made."""

    kept: int
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Local:
    """Local Jacobians of the last tensor of a stretch.

    Parameters
    ----------
    stretch : Stretch
    dtype : numpy.dtype
    kept : int
        Bytes of boxes that are kept at once, if a single row of pixels needs no more.
    """

    stretch: Stretch
    dtype: np.dtype[Any]
    kept: int

    @cached_property
    def nodes(self) -> list[str]:
        """Nodes that have a bias, once each."""
        pieces = self.stretch.pieces
        return list(dict.fromkeys(p.link.node for p in pieces if p.link.bias is not None))

    @cached_property
    def periods(self) -> dict[str, int]:
        """Columns of a circle for each tensor."""
        return periods(self.stretch)

    @property
    def stages(self) -> list[Stage]:
        """In order, the root's first."""
        return self._made[0]

    @cached_property
    def _made(self) -> tuple[list[Stage], Stage]:
        """All stages, and that of the last tensor."""
        root = self.stretch.root
        key = root, self.periods[root]
        made = {key: Stage(key, self._shape(root, key[1]), ())}
        # Where boxes of one tensor are those of another, they are not made twice.
        keys: dict[str, Key] = {root: key}
        for piece in self.stretch.pieces:
            self._add(piece, made, keys)
        return list(made.values()), made[keys[self.stretch.target]]

    def _add(self, piece: Piece, made: dict[Key, Stage], keys: dict[str, Key]) -> None:
        name = piece.link.output
        key = name, self.periods[name]
        shape, makers = self._shape(name, key[1]), list[tuple[Key, Maker]]()
        for read in piece.reads:
            source = keys[read.name]
            if source[1] != key[1]:
                source = self._widen(made[source], key[1], made)
            makers.append(
                (source, maker(read.op, read.span, made[source].shape, shape, self.dtype))
            )
        only = piece.reads[0]
        if (
            len(makers) == 1
            and piece.link.bias is None
            and only.same
            and makers[0][0] == (keys[only.name])
        ):
            keys[name] = keys[only.name]
            return
        whole = self._composed(piece, keys, made, shape)
        made[key] = Stage(key, shape, () if whole else tuple(makers), piece.link, whole)
        keys[name] = key

    def _composed(
        self, piece: Piece, keys: dict[str, Key], made: dict[Key, Stage], shape: Shape
    ) -> Composed | None:
        """What makes boxes of a piece that reads a convolution of the root, and nothing else."""
        read = piece.reads[0]
        before = made[keys[read.name]]
        if len(piece.reads) > 1 or len(before.makers) != 1 or before.link is None:
            return None
        (key, first), bias = before.makers[0], before.link.bias
        if key[0] != self.stretch.root:
            return None
        second = maker(read.op, read.span, before.shape, shape, self.dtype)
        slot = 0 if bias is None else self.nodes.index(before.link.node)
        return composed(first, second, bias, slot)

    def _widen(self, stage: Stage, period: int, made: dict[Key, Stage]) -> Key:
        key = stage.key[0], period
        if key not in made:
            shape = self._shape(*key)
            made[key] = Stage(key, shape, ((stage.key, Widened(stage.shape, shape)),))
        return key

    def _shape(self, name: str, period: int) -> Shape:
        stretch = self.stretch
        cones = {piece.link.output: piece.cone for piece in stretch.pieces}
        channels = stretch.places[stretch.root].shape[1]
        cone, origin = cones.get(name, POINT), stretch.cone.back[1]
        return Shape(stretch.places[name], cone, period, channels, len(self.nodes), origin)

    @property
    def last(self) -> Stage:
        """The one that makes the boxes of the last tensor."""
        return self._made[1]

    def turns(self, count: int) -> Iterator[tuple[int, int, dict[Key, Turn]]]:
        """Rows of the last tensor, so many at a time, and what each stage has to make for them."""
        end, done = self.last, dict[Key, int]()
        height = end.shape.places.shape[2]
        for first in range(0, height, count):
            last = min(first + count, height)
            # For each stage: the first row that is read now or later, and how far rows are read.
            asked = {end.key: (first, last)}
            found = {}
            for stage in reversed(self.stages):
                if stage.key not in asked:
                    continue
                kept, high = asked[stage.key]
                low = max(done.get(stage.key, 0), kept)
                high = max(low, high)
                found[stage.key] = Turn(min(kept, low), low, high)
                done[stage.key] = high
                for key, make in stage.makers:
                    start, stop = make.rows(low, max(high, low + 1))
                    stop = stop if high > low else start
                    before = asked.get(key, (start, stop))
                    asked[key] = min(before[0], start), max(before[1], stop)
            yield first, last, found

    @cached_property
    def count(self) -> int:
        """Rows of the last tensor that are made at once."""
        count = self.last.shape.places.shape[2]
        while count > 1 and self._bytes(count) > self.kept:
            count = -(-count // 2)
        return count

    @property
    def bytes(self) -> int:
        """Bytes that are held at once: boxes, where they are, tables of kernels for their bands."""
        tables = [
            make.table_bytes
            for stage in self.stages
            for _, make in stage.makers
            if isinstance(make, Products)
        ]
        kept = sum(stage.composed.held_bytes for stage in self.stages if stage.composed)
        shapes = {stage.key: stage.shape for stage in self.stages}
        lines = max(size // shapes[key].size for key, size in self._sizes(self.count).items())
        return self._bytes(self.count) + max(tables, default=0) + kept + INDEX * lines

    def _bytes(self, count: int) -> int:
        return sum(self._sizes(count).values()) * self.dtype.itemsize

    def _sizes(self, count: int) -> dict[Key, int]:
        """Entries of the boxes of each stage, at most."""
        shapes = {stage.key: stage.shape for stage in self.stages}
        most = dict.fromkeys(shapes, 0)
        for _, _, found in self.turns(count):
            for key, turn in found.items():
                shape = shapes[key]
                lines = shape.line(turn.high) - shape.line(turn.kept)
                most[key] = max(most[key], lines * shape.size)
        return most

    @property
    def seconds(self) -> float:
        """Estimate how long all bands take."""
        _, _, turns = next(self.turns(self.last.shape.places.shape[2]))
        stages = [stage for stage in self.stages if stage.key in turns]
        made = sum(make.seconds for stage in stages for _, make in stage.makers)
        made += sum(stage.composed.seconds for stage in stages if stage.composed)
        boxes = sum(len(stage.shape.places) * stage.shape.size for stage in stages)
        return made + boxes * self.dtype.itemsize / BYTES

    def bands(self) -> Iterator[Band]:
        """Make the boxes of the last tensor, some rows at a time; each lasts until the next."""
        room = {key: np.empty(size, self.dtype) for key, size in self._sizes(self.count).items()}
        bands: dict[Key, Band] = {}
        for first, last, found in self.turns(self.count):
            for stage in self.stages:
                if stage.key in found:
                    turn = found[stage.key]
                    bands[stage.key] = self._moved(stage, turn, room[stage.key], bands)
                    self._make(stage, turn, bands)
            yield _part(bands[self.last.key], first, last)

    def _moved(self, stage: Stage, turn: Turn, room: Array, bands: dict[Key, Band]) -> Band:
        """Keep what will be read again, and make room for the rest."""
        shape = stage.shape
        sizes = [shape.line(row) - shape.line(turn.kept) for row in (turn.low, turn.high)]
        boxes = room[: sizes[1] * shape.size].reshape(sizes[1], shape.rows, shape.row)
        if sizes[0]:
            boxes[: sizes[0]] = _part(bands[stage.key], turn.kept, turn.low).boxes
        boxes[sizes[0] :] = 0
        return Band(shape, turn.kept, turn.high, boxes)

    def _make(self, stage: Stage, turn: Turn, bands: dict[Key, Band]) -> None:
        target = _part(bands[stage.key], turn.low, turn.high)
        if not len(target.boxes):
            return
        if stage.composed is not None:
            stage.composed(target)
        elif not stage.makers:
            Points(stage.shape)(target)
        for i, (key, make) in enumerate(stage.makers):
            make(_part(bands[key], *make.rows(turn.low, turn.high)), target, fresh=not i)
        if stage.link is not None and stage.link.bias is not None:
            values = np.broadcast_to(stage.link.bias, stage.link.shape).reshape(-1)
            flat = stage.shape.places.flat[target.first :][: len(target.boxes)]
            slot = stage.shape.own + self.nodes.index(stage.link.node)
            target.boxes[:, 0, slot] += values[flat]


def _part(band: Band, low: int, high: int) -> Band:
    """Some rows of a band."""
    first, last = (band.shape.line(row) - band.first for row in (low, high))
    return Band(band.shape, low, high, band.boxes[first:last])
