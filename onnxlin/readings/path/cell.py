"""A cell of a segment or of a patch: a convex part on which all tensors are affine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from onnxlin.primitives import Array
from onnxlin.readings.path.asker import Piece
from onnxlin.readings.region.walls import Unit

# Where a piece is asked for: shares of the first vertices, no simple fraction, so that kinks at
# halves and thirds are not hit.
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Cell:
    """A part of the segment or patch.

    Parameters
    ----------
    at : array (n, d)
        Parameters of its vertices, in order round the polygon.
    alive : {tensor: array (n, *shape)}
        Values at the vertices.
    held : {tensor: value}
        The same all over the cell.
    pieces : {node name: Piece}
    causes : tuple of Unit or None, one a vertex
        Whose guard cut there.
    """

    at: Array
    alive: dict[str, Array]
    held: dict[str, Any]
    pieces: dict[str, Piece]
    causes: tuple[Unit | None, ...]

    def inside(self, attempt: int = 0) -> Array:
        """Weights of the vertices for a point well inside, another one for each attempt: (n,)."""
        return _shares(len(self.at), attempt)

    def mixed(self, mix: Sequence[tuple[int, int, float]], cause: Unit | None) -> Cell:
        """Cell between points on its edges: ``(i, j, share of j)`` each."""
        i, j, share = (np.array(part) for part in zip(*mix, strict=True))

        def at(value: Array) -> Array:
            weight = share.reshape(-1, *(1,) * (value.ndim - 1))
            return np.where(weight == 0, value[i], value[i] + weight * (value[j] - value[i]))

        causes = tuple(self.causes[a] if not s else cause for a, _, s in mix)
        alive = {name: at(value) for name, value in self.alive.items()}
        held = dict(self.held)  # what follows adds to it, for each part its own
        return replace(self, at=at(self.at), alive=alive, held=held, causes=causes)

    def part(self, start: float, stop: float, causes: tuple[Unit | None, Unit | None]) -> Cell:
        """From one share of a cell of a segment to another."""
        ends = [(0, 0, 0.0) if s == 0 else (1, 1, 0.0) if s == 1 else (0, 1, s)
                for s in (start, stop)]  # fmt: skip
        return replace(self.mixed(ends, None), causes=causes)

    @property
    def key(self) -> tuple[bytes, ...]:
        """What tells the pieces of cells apart, byte for byte."""
        return tuple(part for piece in self.pieces.values() for part in content(piece))


def mean(weights: Array, value: Array) -> Array:
    """Weigh vertices, entry by entry: what is equal at all of them stays equal, to the last bit."""
    first, *others = value
    moves = (w * (other - first) for w, other in zip(weights[1:], others, strict=True))
    return np.asarray(sum(moves, start=first))


@cache
def _shares(n: int, attempt: int) -> Array:
    weights = 1 + GOLDEN ** np.roll(np.arange(1, n + 1), attempt) * (1 + attempt)
    return weights / weights.sum()


def content(piece: Piece) -> Iterator[bytes]:
    """Bounds and held values of a piece: equal ones are the same piece."""
    for bounds in piece.bounds:
        yield bounds.low.tobytes() + bounds.high.tobytes()
    for value in piece.held.values():
        yield np.asarray(value).tobytes()
