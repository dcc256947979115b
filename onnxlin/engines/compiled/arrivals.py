"""What arrives at one tensor during an adjoint sweep, until it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np

from onnxlin.lowering import Stack, beside, padded
from onnxlin.primitives import Adjoint, Along, Chain, Crop, LinearMap, Reshape, Transpose


@dataclass(frozen=True, eq=False)
class Piece:
    """A cotangent of one run of a tensor's entries along an axis; those of all others are 0.

    Parameters
    ----------
    axis : int
    start : int
        Where on the axis the run begins.
    stack : Stack
        The cotangent, of the tensor's shape but for that axis.
    """

    axis: int
    start: int
    stack: Stack

    @property
    def stop(self) -> int:
        """Where on the axis the run ends."""
        return self.start + self.stack.shape[self.axis]


class Pending:
    """Maps whose adjoints are still to be written, with their cotangents.

    Pieces of a tensor that was cut apart are put side by side again, instead of each between
    zeros and added up.
    """

    def __init__(self) -> None:
        self._arrived: list[Stack] = []
        self._pieces: list[Piece] = []
        self._whole: tuple[int, ...] = ()
        self._sum: Stack | None = None

    def start(self, cotangent: Stack) -> None:
        """Take a cotangent of the tensor itself."""
        self._arrived.append(cotangent)

    def add(self, op: LinearMap, cotangent: Stack) -> None:
        """Take a cotangent of what a map makes of the tensor."""
        inner = op.maps if isinstance(op, Chain) else (op,)
        if not all(part.rows and part.columns for part in inner):
            return  # a map of no entries is the zero map
        cut = _cut(inner[0])
        for outer in reversed(inner[1:]):
            cotangent = outer.lower_adjoint(cotangent)
        if cut is None:
            self._arrived.append(inner[0].lower_adjoint(cotangent))
        else:
            self._whole = inner[0].in_shape
            self._pieces.append(Piece(*cut, cotangent))

    @property
    def empty(self) -> bool:
        """Whether nothing has arrived."""
        return not (self._arrived or self._pieces)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What has arrived, where that is nothing but pieces; else none."""
        return () if self._arrived else tuple(self._pieces)

    def take(self, op: LinearMap, made: Pending) -> None:
        """Take what has arrived at the tensor that a map makes.

        Pieces stay apart through maps that only move entries, and miss the parts of a
        concatenation that they do not lie in: often only the last step in time is read.
        """
        pieces = made.pieces
        if not pieces:
            self.add(op, made.total())
            return
        moved = [_moved(op, piece) for piece in pieces]
        if None not in moved:
            self._whole = op.in_shape
            self._pieces += [piece for piece in moved if piece is not None]
        elif not all(_missed(op, piece) for piece in pieces):
            self.add(op, made.total())

    def total(self) -> Stack:
        """Write what has arrived."""
        if self._sum is None:
            self._sum = self._total()
        return self._sum

    def _total(self) -> Stack:
        arrived = list(self._arrived)
        for axis in sorted({piece.axis for piece in self._pieces}):
            along = (piece for piece in self._pieces if piece.axis == axis)
            pieces = sorted(along, key=lambda piece: piece.start)
            while pieces:
                row, pieces = _side_by_side(pieces)
                arrived.append(_joined(row, self._whole[axis]))
        return reduce(Stack.plus, arrived)


def _cut(op: LinearMap) -> tuple[int, int] | None:
    """Axis and start of a map that takes one run of entries along one axis."""
    if isinstance(op, Crop) and set(op.step) == {1}:
        axes = [i for i, (n, m) in enumerate(zip(op.in_shape, op.out_shape, strict=True)) if n != m]
        return (axes[0], op.start[axes[0]]) if len(axes) == 1 else None
    if isinstance(op, Along) and op.matrix.nnz == op.matrix.shape[0] < op.matrix.shape[1]:
        index = op.matrix.indices
        run = (op.matrix.data == 1).all() and (np.diff(op.matrix.indptr) == 1).all()
        if run and (np.diff(index) == 1).all():
            return op.axis, int(index[0])
    return None


def _missed(op: LinearMap, piece: Piece) -> bool:
    """Whether a map sets all that it makes beside a piece."""
    last = op.maps[-1] if isinstance(op, Chain) else op
    cut = _cut(last.base) if isinstance(last, Adjoint) else None
    if cut is None or cut[0] != piece.axis:
        return False
    start, stop = cut[1], cut[1] + last.in_shape[piece.axis]
    return piece.stop <= start or stop <= piece.start


def _moved(op: LinearMap, piece: Piece) -> Piece | None:
    """Take a piece back through a map that only moves entries."""
    axis, stack = piece.axis, piece.stack
    if isinstance(op, Transpose):
        return Piece(op.perm[axis], piece.start, op.lower_adjoint(stack))
    if not isinstance(op, Reshape):
        return None
    # Find the axis that has as many entries before it; it may hold axes that follow this one too.
    size, before = op.out_shape[axis], prod(op.out_shape[:axis])
    found = [i for i, n in enumerate(op.in_shape) if n > 1 and prod(op.in_shape[:i]) == before]
    if size == 1 or not found or op.in_shape[found[0]] % size:
        return None
    at, shape = found[0], list(op.in_shape)
    times = shape[at] // size
    shape[at] = stack.shape[axis] * times
    return Piece(at, piece.start * times, stack.reshaped(tuple(shape)))


def _side_by_side(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Take pieces that do not overlap, in order; and what is left."""
    row = pieces[:1]
    left: list[Piece] = []
    for piece in pieces[1:]:
        (row if piece.start >= row[-1].stop else left).append(piece)
    return row, left


def _joined(row: list[Piece], size: int) -> Stack:
    """Concatenate pieces along their axis, zeros where none is."""
    stacks, follows = [], [piece.start for piece in row[1:]] + [size]
    for i, (piece, end) in enumerate(zip(row, follows, strict=True)):
        before, after = 0 if i else piece.start, end - piece.stop
        needed = before or after
        stacks.append(padded(piece.stack, piece.axis, before, after) if needed else piece.stack)
    return beside(stacks, row[0].axis)
