"""Many neighbouring cells of a segment at once: one array a tensor, one call of a rule a node.

What `path_cells` does cell by cell is done here for all of them together, for nodes that are
affine for every x and for nodes that work on each row by itself (ReLU, MaxPool ...): their rules
are asked for all cells in one call, as if these were a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from onnxlin.graph import Node
from onnxlin.operators.pieces import CONTINUOUS, POINTWISE, WINDOWED
from onnxlin.primitives import Array, Diagonal, LinearMap, Select, Shape
from onnxlin.program import Step
from onnxlin.program.sweep import applied
from onnxlin.readings.path.asker import Asker, Piece
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.path.cuts import Parts, find_cuts
from onnxlin.readings.region.walls import Unit

FIRST = 0.5527864045000421  # where in a cell a rule is asked: no simple fraction


@dataclass(frozen=True, eq=False)
class Plain:
    """A node that is one piece everywhere."""

    piece: Piece

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps."""
        return self.piece.steps


@dataclass(frozen=True, eq=False)
class Rowwise:
    """A node's pieces on K cells, and which of them each cell of today lies in.

    Parameters
    ----------
    step : Step
        As the rule answered for all K at once.
    read : str
        The operand.
    scale : array (K, *shape) or None
    source : integer array (K, outputs) or None
        Flat position in the operand, -1 reads 0; one of the two is given.
    bias : array (K, *shape) or None
    index : integer array (cells,)
    """

    step: Step
    read: str
    scale: Array | None
    source: Array | None
    bias: Array | None
    in_shape: Shape
    out_shape: Shape
    index: Array

    @property
    def steps(self) -> tuple[Rowwise, ...]:
        """Itself: it makes one tensor."""
        return (self,)

    @property
    def output(self) -> str:
        """The tensor that it makes."""
        return self.step.output

    @property
    def terms(self) -> tuple[tuple[str, Rowwise], ...]:
        """What it reads, by itself as a map that is another one for each cell."""
        return ((self.read, self),)

    def alone(self, k: int) -> Step:
        """Return the piece of one cell as a step."""
        op: LinearMap
        if self.scale is not None:
            op = Diagonal.of(self.out_shape, self.scale[k])
        else:
            assert self.source is not None
            op = Select.of(self.in_shape, self.source[k].reshape(self.out_shape))
        bias = None if self.bias is None else self.bias[k]
        return replace(self.step, shape=self.out_shape, terms=((self.read, op),), bias=bias)

    def forward(self, value: Array) -> Array:
        """``(cells, 2, *in_shape) -> (cells, 2, *out_shape)``."""
        if self.scale is not None:
            found = value * self.scale[self.index][:, None]
        else:
            assert self.source is not None
            flat = value.reshape(*value.shape[:2], -1)
            at = self.source[self.index][:, None]
            taken = np.take_along_axis(flat, np.maximum(at, 0), axis=2)
            found = np.where(at < 0, 0, taken).reshape(*value.shape[:2], *self.out_shape)
        return found if self.bias is None else found + self.bias[self.index][:, None]

    def rmatvec(self, cotangents: Array) -> Array:
        """``(cells, *out_shape) -> (cells, *in_shape)``."""
        if self.scale is not None:
            return cotangents * self.scale[self.index]
        assert self.source is not None
        n, size = len(cotangents), prod(self.in_shape)
        at = self.source[self.index]
        kept = at >= 0
        place = (at + size * np.arange(n)[:, None])[kept]
        weights = cotangents.reshape(n, -1)[kept]
        return np.bincount(place, weights, minlength=n * size).reshape(n, *self.in_shape)


@dataclass(frozen=True, eq=False)
class Batch:
    """Cells of a segment.

    Parameters
    ----------
    t : array (cells, 2)
    alive : {tensor: array (cells, 2, *shape)}
    pieces : {node name: Plain or Rowwise}
    causes : tuple of Unit or None
        Whose guard the beginning of each cell is.
    """

    t: Array
    alive: dict[str, Array]
    pieces: dict[str, Plain | Rowwise] = field(default_factory=dict)
    causes: tuple[Unit | None, ...] = (None,)

    def __len__(self) -> int:
        return len(self.t)

    @property
    def nbytes(self) -> int:
        """Memory of the tensors of one cell."""
        return sum(value.nbytes for value in self.alive.values()) // len(self)

    def taken(self, cells: Array | slice) -> Batch:
        """Some of the cells, or each as often as it is named."""
        pieces = {
            name: replace(p, index=p.index[cells]) if isinstance(p, Rowwise) else p
            for name, p in self.pieces.items()
        }
        places = np.arange(len(self))[cells]
        causes = tuple(self.causes[i] for i in places)
        alive = {name: value[cells] for name, value in self.alive.items()}
        return Batch(self.t[cells], alive, pieces, causes)

    def cut(self, parts: Parts) -> Batch:
        """Take parts of cells."""
        whole, share = self.taken(parts.parent), parts.share

        def between(value: Array) -> Array:
            s = share.reshape(len(share), 2, *(1,) * (value.ndim - 2))
            first, last = value[:, :1], value[:, 1:]
            mixed = np.where(s == 0, first, first + s * (last - first))
            return np.where(s == 1, last, mixed)

        alive = {name: between(value) for name, value in whole.alive.items()}
        kept = zip(whole.causes, parts.causes, share[:, 0], strict=True)
        named = tuple(old if s == 0 else new for old, new, s in kept)
        return Batch(between(whole.t[..., None])[..., 0], alive, whole.pieces, named)


def plain(batch: Batch, node: Node, piece: Piece) -> bool:
    """Take a batch through a node that is one piece everywhere; False if it holds values."""
    if piece.varies or any(not step.terms for step in piece.steps) or not piece.steps:
        return False
    n = len(batch)
    for step in piece.steps:
        read = ((name, batch.alive[name]) for name, _ in step.terms)
        ends = {name: value.reshape(2 * n, *value.shape[2:]) for name, value in read}
        total = np.broadcast_to(applied(step.terms, ends, step.bias), (2 * n, *step.shape))
        batch.alive[step.output] = total.reshape(n, 2, *step.shape)
    batch.pieces[node.name] = Plain(piece)
    return True


def by_rows(node: Node, alive: dict[str, Array], fixed: dict[str, Array]) -> bool:
    """Whether a node works on each row of its first input by itself, all else constant."""
    # What jumps is walked through cell by cell: see `march`.
    if node.domain or node.op_type not in (POINTWISE | WINDOWED) & CONTINUOUS:
        return False
    first, *others = node.inputs
    if first not in alive or alive[first].ndim < 4 or any(name in alive for name in others):
        return False
    if any(name and name not in fixed for name in others):
        return False
    rank = alive[first].ndim - 2
    # A constant that has the first axis, too, would not fit more rows.
    return all(not n or fixed[n].ndim < rank or fixed[n].shape[0] == 1 for n in others)


def rowwise(
    batch: Batch, node: Node, ask: Asker, least: float, memory: int
) -> tuple[Batch, bool] | None:
    """Cut a batch at the guards of a node, and take it through.

    Returns
    -------
    The batch, and whether the node is done: where the parts would not fit ``memory``, some cuts are
    made and the node is not. None if its pieces are of a kind unknown here.
    """
    read = node.inputs[0]
    while True:
        z = batch.alive[read]
        n, rows, rest = len(z), z.shape[2], z.shape[3:]
        sample = z[:, 0] + FIRST * (z[:, 1] - z[:, 0])
        piece = ask(node, {read: sample.reshape(n * rows, *rest)}, {})
        (step,) = piece.steps
        found = _of(step, n, z.shape[2:])
        if found is None or len(piece.bounds) > 1:
            return None
        cuts = find_cuts(batch.t, piece.bounds[0], z, node, least) if piece.bounds else None
        if cuts is None:
            batch.alive[step.output] = found.forward(z)
            batch.pieces[node.name] = found
            return batch, True
        most = max(memory // batch.nbytes, 2 * n)
        whole = len(cuts) + n <= most
        batch = batch.cut((cuts if whole else cuts.fewer(most - n)).parts())
        if not whole:
            return batch, False


def _of(step: Step, n: int, in_shape: Shape) -> Rowwise | None:
    """Read what a rule answered for all cells as pieces of each."""
    if len(step.terms) != 1:
        return None
    ((read, op),) = step.terms
    out_shape = (step.shape[0] // n, *step.shape[1:])
    scale, source = None, None
    if isinstance(op, Diagonal):
        scale = np.broadcast_to(op.scale, step.shape).reshape(n, *out_shape)
    elif isinstance(op, Select):
        offset = prod(in_shape) * np.arange(n)[:, None]
        flat = op.index.reshape(n, -1)
        source = np.where(flat < 0, -1, flat - offset)
    else:
        return None
    bias = None
    if step.bias is not None:
        bias = np.broadcast_to(step.bias, step.shape).reshape(n, *out_shape)
    return Rowwise(step, read, scale, source, bias, in_shape, out_shape, np.arange(n))


def cells_of(batch: Batch) -> list[Cell]:
    """Go on cell by cell; cells that share a piece go on sharing it."""
    made: dict[tuple[str, int], Piece] = {}
    found = []
    for i in range(len(batch)):
        pieces = {}
        for name, piece in batch.pieces.items():
            if isinstance(piece, Plain):
                pieces[name] = piece.piece
                continue
            key = (name, int(piece.index[i]))
            if key not in made:
                made[key] = Piece((piece.alone(key[1]),), {}, (), varies=True)
            pieces[name] = made[key]
        alive = {name: value[i] for name, value in batch.alive.items()}
        found.append(Cell(batch.t[i][:, None], alive, {}, pieces, (batch.causes[i], None)))
    return found
