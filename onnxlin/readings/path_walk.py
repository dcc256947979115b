"""From two ends, or three corners, to the cells between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.plan import memory_budget
from onnxlin.feeds import Instance
from onnxlin.graph import Node
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram, slices
from onnxlin.readings.path_cells import Cell, Cutter
from onnxlin.readings.path_pieces import Asker
from onnxlin.readings.region_walls import require_region
from onnxlin.section import moved
from onnxlin.trace import fold

# Of the memory that may be used, what the tensors of one batch of cells take.
SHARE = 16


class Walk:
    """All that does not depend on where a walk leads: the nodes, and the values that stay.

    Parameters
    ----------
    lin : Linearizer
    x : instance
        Where the walk begins. Inputs that are not linearised are held as they are here.

    Raises
    ------
    RegionError
        With all nodes that are smooth, or that nobody can tell the pieces of.
    """

    def __init__(self, lin: Linearizer, x: Instance) -> None:
        builder = lin.decider
        values = builder.tracer(lin._feeds(x))
        self.program: LinearProgram = builder(values, np.dtype(np.float64))
        require_region(self.program)
        section = builder.section
        nodes = moving(section.graph.nodes, section.nodes, moved(section.graph, section.inputs))
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
        self._fixed = fixed
        self._cutter = Cutter(Asker(builder, fixed), nodes, ruled, section.outputs, budget)

    @property
    def columns(self) -> int:
        """Number of input features."""
        return sum(prod(shape) for shape in self.inputs.values())

    def cells(self, corners: Array, at: Array) -> Iterator[list[Cell]]:
        """Cut the polygon (or segment) with these corners ``(n, columns)``, parameters (n, d)."""
        alive = {
            name: corners[:, where].reshape(len(corners), *self.inputs[name])
            for name, where in slices(self.inputs)
        }
        start = Cell(at, alive, {}, {}, (None,) * len(at))
        return self._cutter(start)

    def outputs_at(self, cell: Cell) -> Array:
        """All outputs at the vertices of a finished cell: ``(n, rows)``."""
        n = len(cell.at)
        parts = []
        for name in self.outputs:
            if name in cell.alive:
                parts.append(cell.alive[name].reshape(n, -1))
            else:
                value = np.ravel(cell.held[name] if name in cell.held else self._fixed[name])
                parts.append(np.broadcast_to(value, (n, value.size)))
        return np.concatenate(parts, axis=1).astype(np.float64)

    def gradients(self, cells: Sequence[Cell], seeds: Array) -> Array:
        """Gradient of one combination of the outputs on every cell: ``(cells, columns)``.

        One adjoint sweep over all cells; neighbours that share a piece go through it together.
        """
        waiting: dict[str, Array] = {}
        for name, at in slices(self.outputs):
            rows = np.broadcast_to(seeds[at], (len(cells), at.stop - at.start))
            waiting[name] = rows.reshape(len(cells), *self.outputs[name]).copy()
        for node in reversed(self.nodes):
            if any(name in waiting for name in node.writes):
                _back(node, cells, waiting)
        found = np.zeros((len(cells), self.columns))
        for name, at in slices(self.inputs):
            if name in waiting:
                found[:, at] = waiting[name].reshape(len(cells), -1)
        return found


def _back(node: Node, cells: Sequence[Cell], waiting: dict[str, Array]) -> None:
    """Take the cotangents of a node's outputs to its operands, piece by piece."""
    own = {name: waiting.pop(name) for name in node.writes if name in waiting}
    start = 0
    for piece, group in groupby(cells, key=lambda cell: cell.pieces.get(node.name)):
        rows = slice(start, start := start + sum(1 for _ in group))
        for step in piece.steps if piece is not None else ():
            for name, op in step.terms if step.output in own else ():
                back = op.rmatvec(own[step.output][rows])
                if name not in waiting:
                    waiting[name] = np.zeros((len(cells), *op.in_shape))
                waiting[name][rows] += back


def moving(nodes: Sequence[Node], ruled: Sequence[Node], reached: set[str]) -> tuple[Node, ...]:
    """Nodes with rules, and those between them that only hold values, in order."""
    kept = {node.name for node in ruled}
    wanted = {name for node in ruled for name in node.reads}
    found = []
    for node in reversed(nodes):
        if node.name in kept or any(o in wanted and o in reached for o in node.writes):
            found.append(node)
            wanted.update(node.reads)
    return tuple(reversed(found))


def flat_of(values: Mapping[str, Any], shapes: Mapping[str, Any]) -> Array:
    """Inputs as one row, float64."""
    return np.concatenate([np.asarray(values[name], np.float64).ravel() for name in shapes])
