"""The model along a line: its exact pieces, class changes and Integrated Gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Progress
from onnxlin.engines.seeds import Seeds, make_seeds
from onnxlin.errors import OptionError, ResidualError, RowsError
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Array
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.readings.path.batch import Batch
from onnxlin.readings.path.between import Walk, require_shape
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.path.changes import changes_of
from onnxlin.readings.path.ends import End
from onnxlin.readings.path.path import Integrated, Path
from onnxlin.readings.path.tally import PIECES
from onnxlin.readings.region.walls import Unit
from onnxlin.section.feeds import Instance
from onnxlin.section.options import whole

SAMPLES = (5, 10, 50, 300)
DOUBLE = np.dtype(np.float64)


def walk(
    lin: Linearizer,
    x0: Instance,
    x1: Instance,
    *,
    rows: Any = None,
    integrate: int | str | None = "top",
    samples: Sequence[int] = SAMPLES,
    pieces: int = PIECES,
    progress: Progress | None = None,
) -> Path:
    """Find every piece of a model on the segment between two inputs.

    The segment is cut node by node: all tensors are affine between the breakpoints found so far,
    a node with kinks adds those where its guards are met, and so on to the outputs. Kinks are
    exact up to float64 rounding; pieces shorter than 2^-40 of the segment are not told apart.
    Jumps that the model's own numbers cannot tell apart are one breakpoint, and what no longer
    moves behind them is computed by the model's own nodes.
    Source: Sotoudeh, Thakur, "Computing Linear Restrictions of Neural Networks", NeurIPS 2019.

    Parameters
    ----------
    lin : Linearizer
    x0, x1 : instances
        Numbers are rounded to the model's own type first. Inputs that are not linearised are held
        as x0 has them.
    rows : None, indices or combinations
        Which outputs to follow, as `Linearizer` takes them.
    integrate : int, "top" or None
        Position among the rows whose Integrated Gradients are wanted: exact, since the gradient is
        constant on a piece. "top" is the row that is largest at x1; None leaves them out.
    samples : sequence of int
        Numbers of sampled gradients to compare with.
    pieces : int
        How many there may be.
    progress : callable, optional
        Called with (thousandths of the segment done, 1000).

    Raises
    ------
    RegionError
        Nodes are smooth (all are named) or opened into graphs, or there are too many pieces.
    ResidualError
        F at an end, or the sum of the attributions, misses the model's by more than rounding.
    """
    first, last = _at_ends(lin.steady(2), (x0, x1), rows)
    road = Walk(lin, x0, pieces)
    seeds = make_seeds(rows, sum(value.size for value in first.outputs.values()))
    row = _row(integrate, last)
    if not isinstance(samples, Sequence):
        raise OptionError(f"samples={samples!r}; expected numbers of gradients, one after another.")
    for count in samples:
        whole("samples", count, 1)
    found = _Found(road, seeds, row, last.x - first.x, tuple(samples))
    for done in map(found.take, road.batches(first.x, last.x)):
        if progress is not None:
            progress(round(1000 * done), 1000)
    return found.path(first, last)


def _at_ends(lin: Linearizer, xs: tuple[Instance, Instance], rows: Any) -> list[AffineMap]:
    """Linearise where the way begins and where it ends; the outputs there have the same shapes."""
    first, last = (lin(x, rows, dtype=np.float64) for x in xs)
    for name, value in first.outputs.items():
        require_shape(name, value.shape, last.outputs[name].shape)
    return [first, last]


def _row(integrate: int | str | None, last: AffineMap) -> int | None:
    if integrate is None or not len(last.rows):
        return None
    if integrate == "top":
        return int(last.y.argmax())
    if not isinstance(integrate, int) or not -len(last.y) <= integrate < len(last.y):
        raise RowsError(
            f'integrate={integrate!r}; expected "top", None or a position among {len(last.y)} rows.'
        )
    return integrate % len(last.y)


class _Found:
    """What batches of cells have given so far."""

    def __init__(
        self, road: Walk, seeds: Seeds, row: int | None, move: Array, samples: tuple[int, ...]
    ) -> None:
        self.road, self.seeds, self.row, self.move = road, seeds, row, move
        self.starts: list[float] = []
        self.left: list[Array] = []
        self.right: list[Array] = []
        self.units: list[Unit | None] = []
        self.exact = np.zeros(len(move))
        self.sampled = {n: np.zeros(len(move)) for n in samples}

    def take(self, batch: Batch | list[Cell]) -> float:
        """Add finished cells, which follow those before; return where they end."""
        ends, outputs = self.road.outputs_of(batch)
        cells, _, columns = outputs.shape
        rows = self.seeds.apply(np.moveaxis(outputs, 2, 0).reshape(columns, 2 * cells))
        values = np.moveaxis(rows.reshape(len(rows), cells, 2), 0, 2)
        # A cell that was cut off may be kept from its far end.
        order = np.argsort(ends, axis=1)
        ends = np.take_along_axis(ends, order, axis=1)
        values = np.take_along_axis(values, order[:, :, None], axis=1)
        self.starts += ends[:, 0].tolist()
        self.units += _causes(batch, order)
        self.left.append(values[:, 0])
        self.right.append(values[:, 1])
        if self.row is not None:
            self._integrate(batch, ends)
        return float(ends.max())

    def _integrate(self, batch: Batch | list[Cell], ends: Array) -> None:
        assert self.row is not None
        seed = self.seeds.dense(slice(self.row, self.row + 1), np.dtype(np.float64))[0]
        slopes = self.road.gradients(batch, seed)
        self.exact += (ends[:, 1] - ends[:, 0]) @ slopes
        for n in self.sampled:
            # How many of the middles of n equal steps lie in each cell.
            counts = np.diff(np.ceil(ends * n - 0.5).clip(0, n), axis=1)[:, 0]
            self.sampled[n] += counts @ slopes / n

    def path(self, first: AffineMap, last: AffineMap) -> Path:
        """All of them in a row, between the maps at both ends."""
        left, right = np.concatenate(self.left), np.concatenate(self.right)
        t = np.array([*self.starts, 1.0])
        begun = np.stack([left[0], right[0]]), np.stack([right[-1], left[-1]])
        ends = [
            End("x0", first, (t[0], t[1]), begun[0], self.move).value(self.road),
            End("x1", last, (t[-1], t[-2]), begun[1], -self.move).value(self.road),
        ]
        at_ends = np.stack([value for value, _ in ends])
        path = Path(
            t=t,
            left=left,
            right=right,
            units=tuple(self.units[1:]),
            changes=tuple(changes_of(t, left, right, at_ends)),
            integrated=None,
            ends=(first, last),
            at_ends=at_ends,
            end_units=(ends[0][1], ends[1][1]),
        )
        return path if self.row is None else replace(path, integrated=self._integrated(path))

    def _integrated(self, path: Path) -> Integrated:
        """Multiply with the move, and compare the sum with the difference of the outputs."""
        assert self.row is not None
        row, exact = self.row, self.exact * self.move
        first, last = path.ends
        jumps = path.jumps[:, row]
        total = float(last.y[row] - first.y[row])
        gap = abs(float(exact.sum()) + float(jumps.sum()) - total)
        sampled = {n: part * self.move for n, part in self.sampled.items()}
        bound = float(sum((m.bound * m.scale)[row] for m in path.ends))
        # The sums over pieces and columns round as well, in float64.
        size = np.abs(path.left[:, row]).sum() + np.abs(path.right[:, row]).sum()
        size += np.abs(exact).sum() + np.abs(path.at_ends[:, row]).sum()
        bound += gamma(len(path) + len(exact) + 2, unit_roundoff(DOUBLE)) * float(size)
        found = Integrated(row, exact, sampled, total, gap, bound, float(jumps.sum()))
        if not gap <= bound:
            raise ResidualError(
                f"Integrated Gradients of row {row} miss F(x1) - F(x0) = {total:.9g}, less the "
                f"jumps, by {gap:.2e}; rounding allows {bound:.2e}."
            )
        return found


def _causes(batch: Batch | list[Cell], order: Array) -> list[Unit | None]:
    """What is met at the beginning of each cell."""
    if isinstance(batch, Batch):
        return list(batch.causes)
    return [cell.causes[int(o[0])] for cell, o in zip(batch, order, strict=True)]
