"""What a walk between two inputs has found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.primitives import Array
from onnxlin.readings.path.changes import Change
from onnxlin.readings.region.walls import Unit
from onnxlin.section.numbers import real


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
    jumps : float
        What F jumps on the way, the ends included: 0 for a continuous model.
    gap, bound : float
        ``|sum of attributions + jumps - total|``, and what rounding allows.
    """

    row: int
    attributions: Array
    sampled: dict[int, Array]
    total: float
    gap: float
    bound: float
    jumps: float = 0.0

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
    at_ends : array (2, rows)
        F at x0 and at x1. It differs from F next to them, ``left[0]`` and ``right[-1]``, where an
        end lies on a jump that the path leaves on the other side.
    end_units : (Unit or None, Unit or None)
        What jumps at x0 and at x1.
    """

    t: Array
    left: Array
    right: Array
    units: tuple[Unit | None, ...]
    changes: tuple[Change, ...]
    integrated: Integrated | None
    ends: tuple[AffineMap, AffineMap]
    at_ends: Array
    end_units: tuple[Unit | None, Unit | None] = (None, None)

    def __len__(self) -> int:
        return len(self.left)

    def __call__(self, t: npt.ArrayLike) -> Array:
        """``(k,) -> (k, rows)``: F at parameters of the segment, affine between breakpoints.

        On a jump on the way it is what the next piece begins with; at 0 and 1 it is the model's.
        """
        at = np.atleast_1d(real("t", t))
        piece = np.clip(np.searchsorted(self.t, at, side="right") - 1, 0, len(self) - 1)
        share = (at - self.t[piece]) / (self.t[piece + 1] - self.t[piece])
        found = self.left[piece] + share[:, None] * (self.right[piece] - self.left[piece])
        found[at == 0], found[at == 1] = self.at_ends
        return found

    @property
    def jumps(self) -> Array:
        """By how much F jumps at each of ``t``, the ends included: ``(pieces + 1, rows)``.

        For a continuous model all of them are roundings.
        """
        before = np.concatenate([self.at_ends[:1], self.right])
        after = np.concatenate([self.left, self.at_ends[1:]])
        return after - before

    @property
    def jump(self) -> Array:
        """Sum of all jumps, the ends included, ``(rows,)``: 0 for a continuous model."""
        return self.jumps.sum(axis=0)
