"""Cut a segment or a plane patch into the cells on which a model is affine, node by node.

A cell is a convex polytope in the parameters (t on a segment, two numbers on a patch), kept by its
vertices. All tensors are affine on a cell, so their values at the vertices are all there is to
know. A node with kinks is asked for its piece at a point inside, its guards are evaluated at the
vertices, and a cell that a guard divides is cut there. What follows sees smaller cells.

Source: Sotoudeh, Thakur, "Computing Linear Restrictions of Neural Networks", NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice
from typing import Any

import numpy as np

from onnxlin.errors import RegionError
from onnxlin.graph import Node
from onnxlin.operators.pieces import CONTINUOUS
from onnxlin.primitives import Array, Shape
from onnxlin.program import Step
from onnxlin.program.sweep import applied, spent
from onnxlin.readings.path.asker import Asker, Piece
from onnxlin.readings.path.carve import LEAST, carve, holds, softened
from onnxlin.readings.path.cell import Cell, mean
from onnxlin.readings.path.march import March
from onnxlin.readings.path.runtime import Native, Rest
from onnxlin.readings.path.tally import Tally

ATTEMPTS = 6
Key = tuple[str, tuple[tuple[str, Shape], ...]]

# Parts of a cell that go on together at most, so that progress is seen.
TOGETHER = 256


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
    tally : Tally
        Counts the cells.
    """

    def __init__(
        self,
        asker: Asker,
        nodes: Sequence[Node],
        ruled: frozenset[str],
        outputs: Sequence[str],
        *,
        memory: int,
        tally: Tally,
    ) -> None:
        self.asker = asker
        self.nodes = nodes
        self.ruled = ruled
        self.memory = memory
        self.tally = tally
        self._kept: dict[Key, Piece] = {}
        self._rests: dict[int, Rest] = {}
        self._outputs = tuple(outputs)
        made = {name for node in nodes for name in node.writes}
        self._fixed = {name: v for name, v in asker.fixed.items() if name not in made}
        # The last node that reads each tensor.
        self._last = {name: i for i, node in enumerate(nodes) for name in node.reads}
        self.done = spent((node.reads for node in nodes), outputs)

    def __call__(self, cell: Cell) -> Iterator[list[Cell]]:
        """Cut a polygon; yield finished cells a batch at a time."""
        whole = float(np.ptp(cell.at, axis=0).max())
        yield from self.resume([cell], 0, LEAST * whole)

    def resume(
        self, cells: list[Cell], start: int, least: float, native: Native | None = None
    ) -> Iterator[list[Cell]]:
        """Take cells from one node on to the outputs; in order on a segment.

        ``native`` runs the model at a parameter of the segment.
        """
        for i in range(start, len(self.nodes)):
            if self._rest(cells, i):
                break
            parts = self._through(self.nodes[i], cells, least, native)
            few = list(islice(parts, 2))
            if len(few) > 1:
                for part in chain(few, parts):
                    self._let_go(part, i)
                    yield from self.resume(part, i + 1, least, native)
                return
            (cells,) = few
            self._let_go(cells, i)
        yield cells

    def _let_go(self, cells: Sequence[Cell], i: int) -> None:
        for cell in cells:
            for name in self.done[i]:
                cell.alive.pop(name, None)
                cell.held.pop(name, None)

    def _rest(self, cells: Sequence[Cell], i: int) -> bool:
        """Run the nodes from one on at once, where they read nothing that moves."""
        if any(self._last.get(name, -1) >= i for cell in cells for name in cell.alive):
            return False
        if i not in self._rests:
            graph = self.asker.builder.section.graph
            self._rests[i] = Rest(graph, self.nodes[i:], self._fixed, self._outputs)
        for cell in cells:
            found = self._rests[i](cell.held)
            if found is None:
                return False
            cell.held.update(found)
        return True

    def _through(
        self, node: Node, cells: list[Cell], least: float, native: Native | None
    ) -> Iterator[list[Cell]]:
        """Take all cells through one node; in parts that memory holds, one at least."""
        reads = frozenset(node.reads)
        if all(reads.isdisjoint(cell.alive) for cell in cells):
            yield self._held(node, cells)
            return
        keys = [_key(node, cell.alive, 1) for cell in cells]
        if all(key in self._kept for key in keys):
            for cell, key in zip(cells, keys, strict=True):
                cell.pieces[node.name] = self._kept[key]
            yield from self._apart(_applied_all(node, cells))
            return
        found: list[Cell] = []
        for cell in self._parts(node, cells, least, native):
            found.append(cell)
            if len(found) >= TOGETHER or len(found) * _size(cell) > self.memory:
                yield from self._apart(_applied_all(node, found))
                found = []
        if found:
            yield from self._apart(_applied_all(node, found))

    def _apart(self, cells: list[Cell]) -> Iterator[list[Cell]]:
        """Halves of cells whose tensors would be too many at once."""
        if len(cells) == 1 or len(cells) * _size(cells[0]) <= self.memory:
            yield cells
            return
        middle = len(cells) // 2
        yield from self._apart(cells[:middle])
        yield from self._apart(cells[middle:])

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

    def _parts(
        self, node: Node, cells: list[Cell], least: float, native: Native | None
    ) -> Iterator[Cell]:
        """Cut cells where a node's pieces end, each with its piece."""
        last: Piece | None = None
        for whole in cells:
            if last is not None and holds(node, last, whole, least):
                yield _with(whole, node, last)
                continue
            piece = self._ask(node, whole, whole.inside())
            if piece.bounds and native is not None and node.op_type not in CONTINUOUS:
                yield from self._marched(node, whole, least, native)
                last = None
                continue
            found = list(self._cut(node, whole, least, last))
            if native is not None:
                found.sort(key=lambda cell: float(cell.at.min()))
            yield from found
            last = found[-1].pieces[node.name]

    def _marched(self, node: Node, whole: Cell, least: float, native: Native) -> Iterator[Cell]:
        """Walk along a cell of a segment from jump to jump."""
        width = float(np.ptp(whole.at))
        unit = self.asker.unit(node)
        march = March(node, whole, self.kept, unit=unit, least=least, native=native)
        for parts, cell in enumerate(march()):
            if parts:
                self.tally.add(1)
                self.tally.expect(parts, float(cell.at.min() - whole.at.min()) / width)
            yield cell

    def _cut(self, node: Node, whole: Cell, least: float, last: Piece | None) -> Iterator[Cell]:
        waiting = [whole]
        while waiting:
            cell = waiting.pop()
            if last is None or not holds(node, last, cell, least):
                last, cell, beyond = self._carved(node, cell, least)
                self.tally.add(len(beyond))
                waiting += beyond
            yield _with(cell, node, last)

    def _carved(self, node: Node, cell: Cell, least: float) -> tuple[Piece, Cell, list[Cell]]:
        """Ask inside of a cell, elsewhere if that point was itself on a kink."""
        for attempt in range(ATTEMPTS):
            weights = cell.inside(attempt)
            piece = self._ask(node, cell, weights)
            parts = carve(cell, weights, piece, node, least)
            if parts is not None:
                return piece, *parts
        # The cell is too narrow for the kernel's own numbers: it may be on either side.
        weights = cell.inside()
        piece = self._ask(node, cell, weights)
        open_ended = softened(piece, cell, weights, self.asker.unit(node))
        parts = carve(cell, weights, open_ended, node, least)
        if parts is not None:
            return open_ended, *parts
        raise RegionError(
            f"{node.op_type} {node.name!r} is on a kink at all {ATTEMPTS} points asked in the cell "
            f"around {cell.at.mean(axis=0)}, so none of its pieces holds. Move an end a little."
        )

    def _ask(self, node: Node, cell: Cell, weights: Array) -> Piece:
        alive = {name: cell.alive[name] for name in node.reads if name in cell.alive}
        point = {name: mean(weights, value) for name, value in alive.items()}
        held = {name: cell.held[name] for name in node.reads if name in cell.held}
        return self.kept(node, point, held)

    def kept(self, node: Node, point: Mapping[str, Array], held: Mapping[str, Any]) -> Piece:
        """Ask a node at a point; a piece that holds everywhere is asked for once."""
        key = _key(node, point, 0)
        if key in self._kept:
            return self._kept[key]
        piece = self.asker(node, point, held)
        if not piece.varies:
            self._kept[key] = piece
        return piece


def _key(node: Node, values: Mapping[str, Array], stacked: int) -> Key:
    """A node, and the shapes of what moves of its operands: behind a count these are not fixed."""
    moving = (name for name in dict.fromkeys(node.reads) if name in values)
    return node.name, tuple((name, values[name].shape[stacked:]) for name in moving)


def _size(cell: Cell) -> int:
    """Bytes of a cell's tensors."""
    held = (value for value in cell.held.values() if isinstance(value, np.ndarray))
    return sum(value.nbytes for value in (*cell.alive.values(), *held))


def _with(cell: Cell, node: Node, piece: Piece) -> Cell:
    return replace(cell, pieces={**cell.pieces, node.name: piece})


def _applied_all(node: Node, cells: list[Cell]) -> list[Cell]:
    """Take cells through their pieces of a node, neighbours that share one at once."""
    for piece, group in groupby(cells, key=lambda cell: cell.pieces[node.name]):
        apply(piece, list(group))
    return cells


def apply(piece: Piece, cells: Sequence[Cell]) -> None:
    """Take neighbouring cells through one piece at once."""
    ends = np.cumsum([len(cell.at) for cell in cells])[:-1]
    for step in piece.steps:
        if not step.terms:
            value = np.broadcast_to(np.zeros(()) if step.bias is None else step.bias, step.shape)
            for cell in cells:
                cell.held[step.output] = value
            continue
        values = _applied(step, cells)
        for cell, value in zip(cells, np.split(values, ends), strict=True):
            cell.alive[step.output] = value
    for cell in cells:
        cell.held.update(piece.held)


def _applied(step: Step, cells: Sequence[Cell]) -> Array:
    """Apply a step at the vertices of all cells, one after the other: ``(vertices, *shape)``."""
    first, *rest = cells
    values = {
        name: np.concatenate([cell.alive[name] for cell in cells]) if rest else first.alive[name]
        for name in dict.fromkeys(name for name, _ in step.terms)
    }
    return applied(step.terms, values, step.bias)
