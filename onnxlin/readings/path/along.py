"""The model along a line: its exact pieces, class changes and Integrated Gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Progress
from onnxlin.engines.seeds import Seeds, make_seeds
from onnxlin.errors import OptionError, ResidualError, RowsError
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Array
from onnxlin.readings.path.batch import Batch
from onnxlin.readings.path.between import Walk
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.path.changes import Change, changes_of
from onnxlin.readings.region.walls import Unit
from onnxlin.section.feeds import Instance
from onnxlin.section.numbers import real
from onnxlin.section.options import whole

SAMPLES = (5, 10, 50, 300)


@dataclass(frozen=True, eq=False)
class Integrated:
    """Integrated Gradients of one row, exact, and by sums over samples.

    Parameters
    ----------
    row : int
        Position among the rows of the path.
    attributions : array (n_in,)
        ``(x1 - x0) * integral of the gradient``: sum over pieces of gradient times length.
    sampled : {number of samples: array (n_in,)}
        What so many gradients at the middles of equal steps give.
    total : float
        ``F(x1) - F(x0)``.
    gap, bound : float
        ``|sum of attributions - total|``, less the jumps of the function, and what rounding allows.
    """

    row: int
    attributions: Array
    sampled: dict[int, Array]
    total: float
    gap: float
    bound: float

    def error(self, samples: int) -> float:
        """``|sampled - exact| / |exact|``, in l1."""
        size = float(np.abs(self.attributions).sum())
        off = float(np.abs(self.sampled[samples] - self.attributions).sum())
        return off / size if size else off


@dataclass(frozen=True, eq=False)
class Path:
    """What a model is on the segment from x0 to x1: ``F(x0 + t (x1 - x0))`` for t in 0..1.

    Parameters
    ----------
    t : array (pieces + 1,)
        The ends of the pieces.
    left, right : array (pieces, rows)
        F at the beginning and at the end of each piece, between which it is affine. Where the
        function jumps, the end of one piece differs from the beginning of the next.
    units : tuple of Unit or None
        What changes between two pieces: ``pieces - 1`` of them.
    changes : tuple of Change
    integrated : Integrated or None
        None if no row was asked for.
    ends : (AffineMap, AffineMap)
        The maps at x0 and at x1, from runs of the model.
    """

    t: Array
    left: Array
    right: Array
    units: tuple[Unit | None, ...]
    changes: tuple[Change, ...]
    integrated: Integrated | None
    ends: tuple[AffineMap, AffineMap]

    def __len__(self) -> int:
        return len(self.left)

    def __call__(self, t: npt.ArrayLike) -> Array:
        """``(k,) -> (k, rows)``: F at parameters of the segment, affine between breakpoints."""
        at = np.atleast_1d(real("t", t))
        piece = np.clip(np.searchsorted(self.t, at, side="right") - 1, 0, len(self) - 1)
        share = (at - self.t[piece]) / (self.t[piece + 1] - self.t[piece])
        return self.left[piece] + share[:, None] * (self.right[piece] - self.left[piece])

    @property
    def jump(self) -> Array:
        """Sum of the jumps between pieces, ``(rows,)``: 0 for a continuous model."""
        return (self.left[1:] - self.right[:-1]).sum(axis=0)


def walk(
    lin: Linearizer,
    x0: Instance,
    x1: Instance,
    *,
    rows: Any = None,
    integrate: int | str | None = "top",
    samples: Sequence[int] = SAMPLES,
    progress: Progress | None = None,
) -> Path:
    """Find every piece of a model on the segment between two inputs.

    The segment is cut node by node: all tensors are affine between the breakpoints found so far,
    a node with kinks adds those where its guards are met, and so on to the outputs. Breakpoints
    are exact up to float64 rounding; pieces shorter than 2^-40 of the segment are not told apart.
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
    progress : callable, optional
        Called with (thousandths of the segment done, 1000).

    Raises
    ------
    RegionError
        Nodes are smooth, or opened into graphs of their own; all of the smooth ones are named.
    ResidualError
        F at an end, or the sum of the attributions, misses the model's by more than rounding.
    """
    first, last = (lin(x, rows, dtype=np.float64) for x in (x0, x1))
    road = Walk(lin, x0)
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
    path = found.path(first, last)
    _check(path)
    return path


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
        values = np.moveaxis(
            self.seeds.apply(np.moveaxis(outputs, 2, 0).reshape(outputs.shape[2], -1)).reshape(
                -1, *outputs.shape[:2]
            ),
            0,
            2,
        )
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
        return Path(
            t=t,
            left=left,
            right=right,
            units=tuple(self.units[1:]),
            changes=tuple(changes_of(t, left, right)),
            integrated=None if self.row is None else self._integrated(first, last, left, right),
            ends=(first, last),
        )

    def _integrated(
        self, first: AffineMap, last: AffineMap, left: Array, right: Array
    ) -> Integrated:
        """Multiply with the move, and compare the sum with the difference of the outputs."""
        assert self.row is not None
        row, exact = self.row, self.exact * self.move
        jumps = float((left[1:, row] - right[:-1, row]).sum())
        total = float(last.y[row] - first.y[row])
        gap = abs(float(exact.sum()) + jumps - total)
        sampled = {n: part * self.move for n, part in self.sampled.items()}
        bound = float(sum((m.bound * m.scale)[row] for m in (first, last)))
        return Integrated(row, exact, sampled, total, gap, bound)


def _causes(batch: Batch | list[Cell], order: Array) -> list[Unit | None]:
    """What is met at the beginning of each cell."""
    if isinstance(batch, Batch):
        return list(batch.causes)
    return [cell.causes[int(o[0])] for cell, o in zip(batch, order, strict=True)]


def _check(path: Path) -> None:
    """Raise ResidualError unless the walk meets the model's own outputs at both ends."""
    for m, value, name in zip(path.ends, (path.left[0], path.right[-1]), ("x0", "x1"), strict=True):
        gap, bound = np.abs(value - m.y), m.bound * m.scale
        if not (gap <= bound).all():
            worst = int((gap - bound).argmax())
            raise ResidualError(
                f"The walk gives {value[worst]:.9g} for row {worst} at {name}, the model "
                f"{m.y[worst]:.9g}: {gap[worst]:.2e} apart, where rounding allows "
                f"{bound[worst]:.2e}. {name} may lie on a jump of the model."
            )
    found = path.integrated
    if found is not None and not found.gap <= found.bound:
        raise ResidualError(
            f"Integrated Gradients of row {found.row} miss F(x1) - F(x0) = {found.total:.9g} by "
            f"{found.gap:.2e}; rounding allows {found.bound:.2e}."
        )
