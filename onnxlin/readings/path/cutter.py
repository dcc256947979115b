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
from itertools import groupby
from typing import Any

import numpy as np

from onnxlin.errors import RegionError
from onnxlin.graph import Node
from onnxlin.primitives import Array
from onnxlin.program import Step
from onnxlin.program.sweep import applied, spent
from onnxlin.readings.path.asker import Asker, Piece
from onnxlin.readings.path.carve import LEAST, carve, holds
from onnxlin.readings.path.cell import Cell, mean

ATTEMPTS = 6


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
        self.done = spent((node.reads for node in nodes), outputs)

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
                if last is None or not holds(node, last, cell, least):
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
        point = {name: mean(weights, value) for name, value in alive.items()}
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
