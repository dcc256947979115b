"""From two ends, or three corners, to the cells between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.memory import memory_budget
from onnxlin.errors import RegionError
from onnxlin.graph import Node
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Array, Shape
from onnxlin.program import LinearProgram, slices
from onnxlin.program.sweep import Link, back
from onnxlin.readings.path.asker import Asker
from onnxlin.readings.path.batch import Batch, by_rows, cells_of, plain, rowwise
from onnxlin.readings.path.carve import LEAST
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.path.cutter import Cutter
from onnxlin.readings.path.runtime import Native, Runs
from onnxlin.readings.path.tally import PIECES, Tally
from onnxlin.readings.question.cut import cut
from onnxlin.readings.region.walls import require_region
from onnxlin.section import Section
from onnxlin.section.feeds import Instance
from onnxlin.section.fold import fold

# Of the memory that may be used, what the tensors of one batch of cells take.
SHARE = 16
# More at once makes nothing faster, and falls out of the caches.
BATCH = 2**24


class Walk:
    """All that does not depend on where a walk leads: the nodes, and the values that stay.

    Parameters
    ----------
    lin : Linearizer
    x : instance
        Where the walk begins. Inputs that are not linearised are held as they are here.
    pieces : int
        How many there may be.

    Raises
    ------
    RegionError
        With all nodes that are smooth, or that nobody can tell the pieces of.
    """

    def __init__(self, lin: Linearizer, x: Instance, pieces: int = PIECES) -> None:
        builder = lin.decider
        self._lin, self._feeds = lin, lin.feeds(x)
        self._begun: tuple[Linearizer, dict[str, Array]] | None = None
        values = builder.tracer(self._feeds)
        self.program: LinearProgram = builder(values, np.dtype(np.float64))
        require_region(self.program)
        section = builder.section
        nodes = moving(section)
        made = {name for node in nodes for name in node.writes} | set(section.inputs)
        reads = {name for node in nodes for name in node.reads} - made
        missing = reads - set(values)
        fixed = {name: values[name] for name in (reads | set(section.outputs)) & set(values)}
        fixed |= fold(section.graph, missing - section.varying)
        self.inputs = {name: values[name].shape for name in section.inputs}
        self.outputs = {name: values[name].shape for name in section.outputs}
        ruled = frozenset(node.name for node in section.nodes)
        budget = memory_budget(lin.memory) // SHARE
        self.nodes = nodes
        self.builder = builder
        self.tally = Tally(pieces)
        self._fixed = fixed
        self._ruled = ruled
        self._asker = Asker(builder, fixed)
        self._most = min(budget, BATCH)
        self._cutter = Cutter(
            self._asker, nodes, ruled, section.outputs, memory=self._most, tally=self.tally
        )

    @property
    def columns(self) -> int:
        """Number of input features."""
        return sum(prod(shape) for shape in self.inputs.values())

    def batches(self, first: Array, last: Array) -> Iterator[Batch | list[Cell]]:
        """Cut the segment between two inputs ``(columns,)``, in order, a batch at a time.

        Cells come in batches as long as every node on the way allows, else one by one.
        """
        ends = np.stack([first, last])
        self.tally.restart()
        alive = {
            name: ends[:, where].reshape(1, 2, *self.inputs[name])
            for name, where in slices(self.inputs)
        }
        runs = Runs(self.trace, first, last)
        yield from self._on(Batch(np.array([[0.0, 1.0]]), alive), 0, runs)

    def program_at(self, flat: Array) -> LinearProgram:
        """The program at another input, as the runtime decides there."""
        lin, _ = self._cut()
        return lin.decider(dict(self.trace(flat)), np.dtype(np.float64))

    def _cut(self) -> tuple[Linearizer, dict[str, Array]]:
        if self._begun is None:
            self._begun = cut(self._lin, self._feeds)
        return self._begun

    def trace(self, flat: Array) -> Mapping[str, Any]:
        """Run the model at a flat input, rounded to its own numbers: all tensors."""
        lin, _ = self._cut()
        return lin.decider.tracer(self._fed(flat))

    def map_at(self, flat: Array, rows: Any) -> AffineMap:
        """The map at a flat input, rounded to the model's own numbers."""
        lin, _ = self._cut()
        return lin(self._fed(flat), rows, dtype=np.float64)

    def _fed(self, flat: Array) -> dict[str, Array]:
        _, feeds = self._cut()
        cast = {
            name: flat[at].reshape(self.inputs[name]).astype(feeds[name].dtype)
            for name, at in slices(self.inputs)
        }
        return {**feeds, **cast}

    def _on(self, batch: Batch, start: int, runs: Native) -> Iterator[Batch | list[Cell]]:
        """Take a batch from one node on to the outputs."""
        for i in range(start, len(self.nodes)):
            taken = self._taken(batch, self.nodes[i])
            if taken is None:
                yield from self._cutter.resume(cells_of(batch), i, LEAST, runs)
                return
            self.tally.add(len(taken[0]) - len(batch))
            batch, done = taken
            if done:
                for name in self._cutter.done[i]:
                    batch.alive.pop(name, None)
            if len(batch) > 1 and len(batch) * batch.nbytes > self._most:
                middle = len(batch) // 2
                for half in (slice(0, middle), slice(middle, None)):
                    yield from self._on(batch.taken(half), i + done, runs)
                return
            if not done:
                yield from self._on(batch, i, runs)
                return
        yield batch

    def _taken(self, batch: Batch, node: Node) -> tuple[Batch, bool] | None:
        """Take a batch through one node; None if that must be done cell by cell."""
        if node.name not in self._ruled or any(n not in batch.alive for n in node.inputs[:1]):
            return None
        if by_rows(node, batch.alive, self._fixed):
            return rowwise(batch, node, self._asker, LEAST, self._most)
        point = {name: batch.alive[name][0, 0] for name in node.reads if name in batch.alive}
        piece = self._cutter.kept(node, point, {})
        return (batch, True) if plain(batch, node, piece) else None

    def cells(self, corners: Array, at: Array) -> Iterator[list[Cell]]:
        """Cut the polygon (or segment) with these corners ``(n, columns)``, parameters (n, d)."""
        alive = {
            name: corners[:, where].reshape(len(corners), *self.inputs[name])
            for name, where in slices(self.inputs)
        }
        start = Cell(at, alive, {}, {}, (None,) * len(at))
        self.tally.restart()
        return self._cutter(start)

    def outputs_at(self, cell: Cell) -> Array:
        """All outputs at the vertices of a finished cell: ``(n, rows)``."""
        n = len(cell.at)
        parts = []
        for name in self.outputs:
            if name in cell.alive:
                value = cell.alive[name]
            else:
                value = np.asarray(cell.held[name] if name in cell.held else self._fixed[name])
                value = np.broadcast_to(value, (n, *value.shape))
            require_shape(name, self.outputs[name], value.shape[1:])
            parts.append(value.reshape(n, -1))
        return np.concatenate(parts, axis=1).astype(np.float64)

    def outputs_of(self, batch: Batch | list[Cell]) -> tuple[Array, Array]:
        """Ends and outputs of finished cells: ``(cells, 2)`` and ``(cells, 2, rows)``."""
        if not isinstance(batch, Batch):
            ends = np.stack([cell.at[:, 0] for cell in batch])
            return ends, np.stack([self.outputs_at(cell) for cell in batch])
        parts = []
        for name in self.outputs:
            value = batch.alive.get(name)
            if value is None:
                value = np.broadcast_to(self._fixed[name], (len(batch), 2, *self.outputs[name]))
            parts.append(value.reshape(len(batch), 2, -1))
        return batch.t, np.concatenate(parts, axis=2).astype(np.float64)

    def gradients(self, cells: Batch | Sequence[Cell], seeds: Array) -> Array:
        """Gradient of one combination of the outputs on every cell: ``(cells, columns)``.

        One adjoint sweep over all cells; neighbours that share a piece go through it together.
        """
        waiting: dict[str, Array] = {}
        for name, at in slices(self.outputs):
            rows = np.broadcast_to(seeds[at], (len(cells), at.stop - at.start))
            waiting[name] = rows.reshape(len(cells), *self.outputs[name]).copy()
        if isinstance(cells, Batch):
            links: list[Link] = [link for piece in cells.pieces.values() for link in piece.steps]
            for _ in back(links, waiting):
                pass
        else:
            for node in reversed(self.nodes):
                _back(node, cells, waiting)
        found = np.zeros((len(cells), self.columns))
        for name, at in slices(self.inputs):
            if name in waiting:
                found[:, at] = waiting[name].reshape(len(cells), -1)
        return found


def _back(node: Node, cells: Sequence[Cell], waiting: dict[str, Array]) -> None:
    """Take the cotangents of a node's outputs to its operands, piece by piece."""
    own = {name: waiting.pop(name) for name in node.writes if name in waiting}
    if not own:
        return
    start = 0
    for piece, group in groupby(cells, key=lambda cell: cell.pieces.get(node.name)):
        rows = slice(start, start := start + sum(1 for _ in group))
        arrived = {name: value[rows] for name, value in own.items()}
        for _ in back(piece.steps if piece is not None else (), arrived):
            pass
        for name, part in arrived.items():
            if name in own:
                continue  # no step of this piece makes it
            if name not in waiting:
                waiting[name] = np.zeros((len(cells), *part.shape[1:]))
            waiting[name][rows] += part


def moving(section: Section) -> tuple[Node, ...]:
    """Nodes with rules, and those that hold values between them and the outputs, in order."""
    reached = section.graph.moved_by(section.inputs) - set(section.inputs)
    kept = {node.name for node in section.nodes}
    wanted = {name for node in section.nodes for name in node.reads} | set(section.outputs)
    found = []
    for node in reversed(section.graph.nodes):
        if node.name in kept or any(o in wanted and o in reached for o in node.writes):
            found.append(node)
            wanted.update(node.reads)
    return tuple(reversed(found))


def require_shape(name: str, first: Shape, other: Shape) -> None:
    """Raise RegionError where an output has other rows elsewhere on the way."""
    if first != other:
        raise RegionError(
            f"The output {name!r} has the shape {first} where the way begins and {other} further "
            "on, so its rows are not the same ones. Choose outputs= of a shape that x does not "
            "change, or inputs that are closer together."
        )


def flat_of(values: Mapping[str, Any], shapes: Mapping[str, Any]) -> Array:
    """Inputs as one row, float64."""
    return np.concatenate([np.asarray(values[name], np.float64).ravel() for name in shapes])
