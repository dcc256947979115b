"""Cut a segment or a plane patch into the cells on which a model is affine, node by node.

A cell is a convex polytope in the parameters (t on a segment, two numbers on a patch), kept by its
vertices. All tensors are affine on a cell, so their values at the vertices are all there is to
know. A node with kinks is asked for its piece at a point inside, its guards are evaluated at the
vertices, and a cell that a guard divides is cut there. What follows sees smaller cells.

Source: Sotoudeh, Thakur, "Computing Linear Restrictions of Neural Networks", NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np

from onnxlin.errors import RegionError
from onnxlin.graph import Node
from onnxlin.primitives import Array
from onnxlin.program import Step, finite
from onnxlin.readings.path_pieces import Asker, Piece
from onnxlin.readings.region_walls import Unit

# A guard that would cut off less than this share of the whole is within the rounding of what it
# looks at: float64 leaves 2^-52, and sums on the way take their part.
LEAST = 2.0**-40
# Where a piece is asked for: shares of the first vertices, no simple fraction, so that kinks at
# halves and thirds are not hit.
GOLDEN = 0.6180339887498949
ATTEMPTS = 6
# On a kink of these, the pieces of both sides give the same.
CONTINUOUS = frozenset(
    [
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Clip",
        "HardSigmoid",
        "Abs",
        "Max",
        "Min",
        "ReduceMax",
        "ReduceMin",
        "MaxPool",
        "GlobalMaxPool",
        "ReduceL1",
    ]
)


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

    @property
    def key(self) -> tuple[bytes, ...]:
        """What tells the pieces of cells apart, byte for byte."""
        return tuple(part for piece in self.pieces.values() for part in content(piece))


def _mean(weights: Array, value: Array) -> Array:
    """Weigh vertices, entry by entry: what is equal at all of them stays equal, to the last bit."""
    first, *others = value
    moves = (w * (other - first) for w, other in zip(weights[1:], others, strict=True))
    return sum(moves, start=first)


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


class Cutter:
    """Cuts cells at the guards of one node after the other.

    Parameters
    ----------
    asker : Asker
    nodes : sequence of Node
        Everything that moves, in order; those without a rule of their own only hold values.
    ruled : set of str
        Names of the nodes that have a piece.
    outputs : sequence of str
    memory : int
        Bytes of tensors that may be held at once.
    """

    def __init__(
        self,
        asker: Asker,
        nodes: Sequence[Node],
        ruled: frozenset[str],
        outputs: Sequence[str],
        memory: int,
    ) -> None:
        self.asker = asker
        self.nodes = nodes
        self.ruled = ruled
        self.memory = memory
        self._kept: dict[tuple[str, frozenset[str]], Piece] = {}
        last = {name: i for i, node in enumerate(nodes) for name in node.reads}
        self.done = {
            i: [n for n, at in last.items() if at == i and n not in outputs]
            for i in range(len(nodes))
        }

    def __call__(self, cell: Cell) -> Iterator[list[Cell]]:
        """Cut a cell; yield finished cells a batch at a time, in order on a segment."""
        whole = float(np.ptp(cell.at, axis=0).max())
        yield from self._from([cell], 0, LEAST * whole)

    def resume(self, cells: list[Cell], start: int, least: float) -> Iterator[list[Cell]]:
        """Take cells from one node on to the outputs."""
        yield from self._from(cells, start, least)

    def _from(self, cells: list[Cell], start: int, least: float) -> Iterator[list[Cell]]:
        for i in range(start, len(self.nodes)):
            cells = self._through(self.nodes[i], cells, least)
            for cell in cells:
                for name in self.done[i]:
                    cell.alive.pop(name, None)
                    cell.held.pop(name, None)
            if len(cells) > 1 and self._size(cells) > self.memory:
                middle = len(cells) // 2
                yield from self._from(cells[:middle], i + 1, least)
                yield from self._from(cells[middle:], i + 1, least)
                return
        yield cells

    def _size(self, cells: Sequence[Cell]) -> int:
        one = cells[0]
        return len(cells) * sum(value.nbytes for value in one.alive.values())

    def _through(self, node: Node, cells: list[Cell], least: float) -> list[Cell]:
        """Take all cells through one node."""
        if node.name not in self.ruled:
            return self._held(node, cells)
        plain = self._kept.get((node.name, frozenset(cells[0].alive).intersection(node.reads)))
        if plain is not None:
            for cell in cells:
                cell.pieces[node.name] = plain
            apply(plain, cells)
            return cells
        found = list(self._parts(node, cells, least))
        found.sort(key=lambda cell: float(cell.at[:, 0].min()))
        for piece, group in groupby(found, key=lambda cell: cell.pieces[node.name]):
            apply(piece, list(group))
        return found

    def _held(self, node: Node, cells: list[Cell]) -> list[Cell]:
        """Run a node that only holds values: once for neighbours that read the same."""
        read: tuple[Any, ...] | None = None
        found: Mapping[str, Any] = {}
        for cell in cells:
            now = tuple(cell.held.get(name) for name in node.reads)
            if read is None or any(a is not b for a, b in zip(now, read, strict=True)):
                found, read = self.asker.kernel(node)({**self.asker.fixed, **cell.held}), now
            cell.held.update(found)
        return cells

    def _parts(self, node: Node, cells: list[Cell], least: float) -> Iterator[Cell]:
        last: Piece | None = None
        for whole in cells:
            waiting = [whole]
            while waiting:
                cell = waiting.pop()
                if last is None or not _holds(node, last, cell, least):
                    last, cell, beyond = self._carved(node, cell, least)
                    waiting += beyond
                yield replace(cell, pieces={**cell.pieces, node.name: last})

    def _carved(self, node: Node, cell: Cell, least: float) -> tuple[Piece, Cell, list[Cell]]:
        """Ask inside of a cell, elsewhere if that point was itself on a kink."""
        for attempt in range(ATTEMPTS):
            weights = cell.inside(attempt)
            piece = self._ask(node, cell, weights)
            parts = carve(cell, weights, piece, node, least)
            if parts is not None:
                return piece, *parts
        raise RegionError(
            f"{node.op_type} {node.name!r} is on a kink at all {ATTEMPTS} points asked in the cell "
            f"around {cell.at.mean(axis=0)}, so none of its pieces holds. Move an end a little."
        )

    def _ask(self, node: Node, cell: Cell, weights: Array) -> Piece:
        alive = {name: cell.alive[name] for name in node.reads if name in cell.alive}
        point = {name: _mean(weights, value) for name, value in alive.items()}
        held = {name: cell.held[name] for name in node.reads if name in cell.held}
        return self.kept(node, point, held)

    def kept(self, node: Node, point: Mapping[str, Array], held: Mapping[str, Any]) -> Piece:
        """Ask a node at a point; a piece that holds everywhere is asked for once."""
        key = (node.name, frozenset(point))
        if key in self._kept:
            return self._kept[key]
        piece = self.asker(node, point, held)
        if not piece.varies:
            self._kept[key] = piece
        return piece


def apply(piece: Piece, cells: Sequence[Cell]) -> None:
    """Take neighbouring cells through one piece at once."""
    ends = np.cumsum([len(cell.at) for cell in cells])[:-1]
    for step in piece.steps:
        if not step.terms:
            value = np.broadcast_to(np.zeros(()) if step.bias is None else step.bias, step.shape)
            for cell in cells:
                cell.held[step.output] = value
            continue
        stack = _applied(step, cells)
        for cell, value in zip(cells, np.split(stack, ends), strict=True):
            cell.alive[step.output] = value
    for cell in cells:
        cell.held.update(piece.held)


def _applied(step: Step, cells: Sequence[Cell]) -> Array:
    parts = []
    for name, op in step.terms:
        stack = [cell.alive[name] for cell in cells]
        parts.append(op.matvec(finite(stack[0] if len(stack) == 1 else np.concatenate(stack))))
    total = sum(parts[1:], start=parts[0])
    return total if step.bias is None else total + step.bias


def _values(piece: Piece, cell: Cell) -> tuple[Array, Array, Array]:
    """Guards at the vertices ``(n, guards)``, and their bounds ``(guards,)``."""
    n = len(cell.at)
    found = [b(cell.alive).reshape(n, -1) for b in piece.bounds]
    low, high = ([getattr(b, edge).ravel() for b in piece.bounds] for edge in ("low", "high"))
    if len(found) == 1:
        return found[0], low[0], high[0]
    return np.concatenate(found, axis=1), np.concatenate(low), np.concatenate(high)


def _holds(node: Node, piece: Piece, cell: Cell, least: float) -> bool:
    """Whether the piece of another cell holds all over this one."""
    if not piece.fits(cell.held):
        return False
    if not piece.bounds:
        return True
    value, low, high = _values(piece, cell)
    beyond = np.maximum(low - value, value - high)
    if node.op_type not in CONTINUOUS and (beyond == 0).all(axis=0).any():
        return False  # all over the cell on a jump: the rule must say which side that is on
    if not (beyond > 0).any():
        return True
    beyond = beyond.max(axis=0)
    (over,) = np.nonzero(beyond > 0)
    return not over.size or not (_depth(value[:, over], beyond[over], cell) > least).any()


def _depth(value: Array, beyond: Array, cell: Cell) -> Array:
    """How far guards are passed, in units of the parameters: passed by / slope."""
    span = np.ptp(value, axis=0)
    size = float(np.ptp(cell.at, axis=0).max())
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = beyond * size / span
    # A guard that does not move over the cell holds as it does at the point asked.
    return np.where(span > 0, depth, 0.0)


def carve(
    cell: Cell, weights: Array, piece: Piece, node: Node, least: float
) -> tuple[Cell, list[Cell]] | None:
    """Cut off what lies beyond the guards of a piece: the cell where it holds, and the rest.

    None if nothing is left. ``weights`` of the vertices give the point asked.

    The guard met first on the way from the point asked is cut first; on a segment that leaves no
    cut that is not a border of the piece.
    """
    beyond: list[Cell] = []
    while piece.bounds:
        value, low, high = _values(piece, cell)
        over = np.maximum(low - value, value - high)
        (hit,) = np.nonzero(over.max(axis=0) > 0)
        hit = hit[_depth(value[:, hit], over[:, hit].max(axis=0), cell) > least]
        if not hit.size:
            break
        centre = weights @ value[:, hit]
        guard = int(hit[_first(centre, value[:, hit], low[hit], high[hit])])
        passed = int(over[:, guard].argmax())
        up = value[passed, guard] > high[guard]
        signed = (high[guard] - value[:, guard]) if up else (value[:, guard] - low[guard])
        cause = _unit(piece, guard, node)
        inner, outer = _clip(signed)
        if len(inner) <= cell.at.shape[1]:
            return None
        beyond.append(cell.mixed(outer, cause))
        cell = cell.mixed(inner, cause)
        weights = cell.inside()
    return cell, beyond


def _first(centre: Array, value: Array, low: Array, high: Array) -> int:
    """Which guard is met first from the point asked, with these values, to any vertex."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(value > high, (high - centre) / (value - centre), np.inf)
        below = np.where(value < low, (low - centre) / (value - centre), np.inf)
    return int(np.minimum(above, below).min(axis=0).argmin())


Mix = list[tuple[int, int, float]]


def _clip(signed: Array) -> tuple[Mix, Mix]:
    """Divide a polygon, or a segment, at a function's zero: where it is >= 0, and where <= 0."""
    n = len(signed)
    edges = [(0, 1)] if n == 2 else [(i, (i + 1) % n) for i in range(n)]
    sides: tuple[Mix, Mix] = ([], [])
    for i, j in edges:
        for side, sign in zip(sides, (1, -1), strict=True):
            if sign * signed[i] >= 0:
                side.append((i, i, 0.0))
        if signed[i] * signed[j] < 0:
            share = float(signed[i] / (signed[i] - signed[j]))
            for side in sides:
                side.append((i, j, share))
    if n == 2:
        for side, sign in zip(sides, (1, -1), strict=True):
            if sign * signed[1] >= 0:
                side.append((1, 1, 0.0))
    return sides


def _unit(piece: Piece, guard: int, node: Node) -> Unit:
    """Name a guard by its place among those of a piece."""
    for bounds in piece.bounds:
        size = int(np.prod(bounds.shape))
        if guard < size:
            index = tuple(int(i) for i in np.unravel_index(guard, bounds.shape))
            count = len(index) - bounds.rivals
            rest = index[count:]
            rival = int(np.ravel_multi_index(rest, bounds.shape[count:])) if rest else None
            return Unit(node.name, node.op_type, bounds.what, index[:count], rival, 0.0)
        guard -= size
    raise AssertionError("a guard of no bounds")
