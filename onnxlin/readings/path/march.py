"""Walk along a cell of a segment through a node that jumps: from one of its pieces to the next.

Where a node jumps, the pieces are those that the runtime can be on. It cannot tell apart what its
own numbers round to the same: a hundred pixels that reach the edges of their steps at one t do so
some 1e-8 before or after it in exact arithmetic. So each crossing has a width in t, the rounding of
the guard over its slope; crossings whose widths share a point are one breakpoint, and those within
their width of an end of the cell happen there. The breakpoint stands at the crossing with the
sharpest end, so each of the others moves by no more than the two widths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxlin.graph import Node
from onnxlin.primitives import Array
from onnxlin.program.sweep import reach
from onnxlin.readings.path.asker import Piece
from onnxlin.readings.path.carve import LEAST, ROUNDINGS, unit_of, values_of
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.path.runtime import Native
from onnxlin.readings.region.walls import Unit

# A guard this near to its edge, in units of what it adds up, may be a tie in the runtime's numbers.
NEAR = 2.0**-10
# Where in a cell a node is asked first: no simple fraction, so that jumps at halves are not hit.
FIRST = 0.5527864045000421
# How often a node is asked again for one piece before its answer stands as it is.
PATIENCE = 64

Ask = Callable[[Node, Mapping[str, Array], Mapping[str, Any]], Piece]


class March:
    """One node on one cell.

    Parameters
    ----------
    node : Node
    whole : Cell
        Of a segment: two vertices.
    ask : callable
        Gives the piece of the node at a point.
    unit : float
        Unit roundoff of the numbers that the model itself has there.
    least : float
        In units of t; crossings nearer than that are one in any case.
    native : callable
    """

    def __init__(
        self, node: Node, whole: Cell, ask: Ask, *, unit: float, least: float, native: Native
    ) -> None:
        self.node, self.whole, self.unit, self.native = node, whole, unit, native
        self._ask = ask
        width = float(np.ptp(whole.at))
        self.least = min(least / width, 1.0) if width else 1.0
        self.alive = {n: whole.alive[n] for n in dict.fromkeys(node.reads) if n in whole.alive}
        self.held = {n: whole.held[n] for n in node.reads if n in whole.held}
        # Crossings that count as passed are looked at from beyond, whatever t is.
        self._ahead: dict[str, Array] = {}
        self._still: dict[str, tuple[Array, Array]] = {}

    def __call__(self) -> Iterator[Cell]:
        """Yield the parts of the cell, each with its piece, in order."""
        start, passed, p = 0.0, 0.0, FIRST
        causes = (self.whole.causes[0], None)
        while True:
            piece, met, p = self._piece(p, passed)
            later = met.exit + met.width < 1
            later &= met.exit > start
            if not later.any():
                yield self._part(piece, start, 1.0, (causes[0], self.whole.causes[1]))
                return
            far = np.where(later, met.exit + met.width, np.inf)
            edge = int(far.argmin())
            stop, passed = float(met.exit[edge]), float(far[edge])
            cause = unit_of(piece, edge, self.node)
            yield self._part(piece, start, stop, (causes[0], cause))
            start, causes = stop, (cause, None)
            p = self._on(met, met.exit - met.width <= passed, later, passed)

    def _on(self, met: Crossings, group: Array, later: Array, passed: float) -> float:
        """Pass a group of crossings; return where to ask next."""
        group = group & later
        beyond = np.concatenate([
            (met.exit - met.width)[later & ~group],
            (2 * met.exit - met.entry)[group & np.isfinite(met.entry)],
            [1.0],
        ])  # fmt: skip
        p = (passed + max(float(beyond.min()), passed)) / 2
        self._pass(met, group & (met.exit + 2 * met.width > p))
        return p

    def _pass(self, met: Crossings, rows: Array) -> None:
        """Look at what these guards read from beyond their crossings."""
        for row in np.flatnonzero(rows):
            at = float(met.exit[row] + 2 * met.width[row])
            for name, support in met.support(int(row)):
                if name not in self._ahead:
                    self._ahead[name] = np.zeros(support.shape)
                self._ahead[name][support] = np.maximum(self._ahead[name][support], at)

    def _piece(self, p: float, passed: float) -> tuple[Piece, Crossings, float]:
        """Find the piece that begins where the crossings up to ``passed`` are passed."""
        for _ in range(PATIENCE):
            piece, met = self._asked(p)
            missed = met.entry - met.width > passed
            missed &= met.entry <= p + met.width
            early = (met.exit - met.width <= passed) & (met.exit > p)
            if missed.any():
                first = float((met.entry - met.width)[missed].min())
                p = passed + (first - passed) / 2
            elif early.any():
                self._pass(met, early)
            else:
                break
        return piece, met, p

    def _asked(self, p: float) -> tuple[Piece, Crossings]:
        piece = self._ask(self.node, self._point(p), self.held)
        met = Crossings.of(piece, self.alive, self.unit, self.least)
        if not self._still and met.doubtful:
            self._listen()
            return self._asked(p)
        return piece, met

    def _point(self, p: float) -> dict[str, Array]:
        point = {}
        for name, (first, last) in self.alive.items():
            share = np.maximum(self._ahead.get(name, 0.0), p)
            value = first + share * (last - first)
            if name in self._still:
                still, native = self._still[name]
                value = np.where(still, native, value)
            point[name] = value
        return point

    def _listen(self) -> None:
        """Take what does not move over the cell from a run of the model: ties are its to decide."""
        values = self.native(float(self.whole.at.mean()))
        for name, (first, last) in self.alive.items():
            ran = np.asarray(values[name], np.float64)
            size = float(np.abs(first).max(initial=0.0))
            still = np.abs(last - first) <= LEAST * size
            # A run on the other side of an earlier jump says nothing of this cell.
            still &= np.abs(ran - first) <= NEAR * size
            self._still[name] = still, ran

    def _part(
        self, piece: Piece, start: float, stop: float, causes: tuple[Unit | None, Unit | None]
    ) -> Cell:
        cell = self.whole.part(start, stop, causes)
        # The bounds have done their work, and are as large as the tensors.
        kept = replace(piece, bounds=())
        return replace(cell, pieces={**cell.pieces, self.node.name: kept})


@dataclass(frozen=True, eq=False)
class Crossings:
    """Where the guards of a piece are met, in shares of a cell.

    Parameters
    ----------
    piece : Piece
    entry, exit : array (guards,)
        Where the piece begins and ends; infinite where nothing is met.
    width : array (guards,)
        How far from there the runtime may see it.
    doubtful : bool
        Whether a guard that does not move is so near to its edge that the runtime must decide.
    """

    piece: Piece
    entry: Array
    exit: Array
    width: Array
    doubtful: bool

    @classmethod
    def of(cls, piece: Piece, alive: Mapping[str, Array], unit: float, least: float) -> Crossings:
        """Evaluate all guards at both ends."""
        if not piece.bounds:
            none = np.zeros(0)
            return cls(piece, none, none, none, doubtful=False)
        (first, last), low, high = values_of(piece, alive, 2)
        sizes = {name: np.abs(value).max(axis=0) for name, value in alive.items()}
        size = np.concatenate([reach(b.terms, sizes, b.shape).ravel() for b in piece.bounds])
        slope = last - first
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.maximum(ROUNDINGS * unit * size / np.abs(slope), least)
            begin = (np.where(slope > 0, low, high) - first) / slope
            end = (np.where(slope > 0, high, low) - first) / slope
            moves = (slope != 0) & (width < 1) & np.isfinite(first) & np.isfinite(last)
            room = np.minimum(np.abs(first - low), np.abs(high - first))
        doubtful = ~moves & (room <= NEAR * size) & (size > 0)
        entry = np.where(moves & np.isfinite(begin), begin, -np.inf)
        stop = np.where(moves & np.isfinite(end), end, np.inf)
        return cls(piece, entry, stop, np.where(moves, width, 0.0), bool(doubtful.any()))

    def support(self, row: int) -> Iterator[tuple[str, Array]]:
        """What a guard reads: tensor and mask, for each of its terms."""
        for bounds in self.piece.bounds:
            size = int(np.prod(bounds.shape))
            if row < size:
                seed = np.zeros((1, size))
                seed[0, row] = 1
                for name, op in bounds.terms:
                    yield name, op.rmatvec(seed.reshape(1, *bounds.shape))[0] != 0
                return
            row -= size
