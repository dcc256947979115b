"""Reading an image between its pixels: which pixels a coordinate reads, and with what weights.

Which pixels are read is decided from coordinates as the runtime rounds them; weights come from
coordinates in double precision. Weights are continuous where the pixels change, so the two fit
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import (
    Along,
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    Reshape,
    Shape,
    Transpose,
    adjoint,
    chain,
)


@dataclass(frozen=True, eq=False)
class Taps:
    """Pixels along one axis that each coordinate reads.

    Parameters
    ----------
    index : integer array (..., taps)
        -1 reads 0.
    weight : array (..., taps)
    slope : array (..., taps)
        Of the weight, by the coordinate.
    size : array (..., taps)
        Size of what adds up to the weight, at least ``|weight|``.
    """

    index: Array
    weight: Array
    slope: Array
    size: Array

    def moved(self, rate: Array) -> Array:
        """Slope by something that moves the coordinate at this rate."""
        return self.slope * rate[..., None]


def linear(cell: Array, u: Array) -> Taps:
    """Weights of pixels ``cell`` and ``cell + 1`` for coordinates u between them."""
    d = u - cell
    weight = np.stack([1 - d, d], axis=-1)
    slope = np.broadcast_to([-1.0, 1.0], weight.shape)
    return Taps(cell[..., None] + np.arange(2), weight, slope, np.abs(weight))


def nearest(cell: Array) -> Taps:
    """Weight 1 at a pixel."""
    one = np.ones((*cell.shape, 1))
    return Taps(cell[..., None], one, np.zeros_like(one), one)


# Coefficients of the cubic convolution of Keys (1981) with a = -0.75, in powers of the distance.
INNER = np.array([1.25, -2.25, 0.0, 1.0])
OUTER = np.array([-0.75, 3.75, -6.0, 3.0])


def cubic(cell: Array, u: Array) -> Taps:
    """Weights of the four pixels around coordinates u, of which ``cell`` is the second."""
    d = u - cell
    away = [d + 1, d, 1 - d, 2 - d]
    kinds = [OUTER, INNER, INNER, OUTER]
    signs = (1, 1, -1, -1)
    pairs = list(zip(kinds, away, strict=True))
    weight = [np.polyval(c, a) for c, a in pairs]
    slope = [s * np.polyval(np.polyder(c), a) for s, (c, a) in zip(signs, pairs, strict=True)]
    size = [np.polyval(np.abs(c), np.abs(a)) for c, a in pairs]
    index = cell[..., None] + np.arange(-1, 3)
    return Taps(index, *(np.stack(part, axis=-1) for part in (weight, slope, size)))


def joint_index(index: Sequence[Array], sizes: Shape) -> Array:
    """Flat positions of all combinations of taps, one of each axis; -1 where any axis has it.

    ``(*points, taps)`` arrays, whose points broadcast -> ``(*points, all taps)``.
    """
    flat, inside = np.zeros((), dtype=np.int64), np.ones((), dtype=bool)
    for axis, (part, size) in enumerate(zip(index, sizes, strict=True)):
        spread = _spread(part, axis, len(index))
        inside = inside & (spread >= 0)
        flat = flat * size + spread
    found = np.where(inside, flat, -1)
    return _merged(found, len(index))


def joint_weight(weights: Sequence[Array]) -> Array:
    """Products of the weights of `joint_index`, in the same order."""
    found = np.ones(())
    for axis, part in enumerate(weights):
        found = found * _spread(part, axis, len(weights))
    return _merged(found, len(weights))


def _merged(found: Array, last: int) -> Array:
    """Make one axis of the last ones."""
    return found.reshape(*found.shape[:-last], prod(found.shape[-last:]))


def _spread(part: Array, axis: int, rank: int) -> Array:
    return part.reshape(
        *part.shape[:-1], *(part.shape[-1] if i == axis else 1 for i in range(rank))
    )


def matrix(index: Array, weight: Array, columns: int) -> sp.csr_array:
    """Rows of weights at flat positions, ``(*points, taps) -> (points, columns)``."""
    shape = (prod(index.shape[:-1]), index.shape[-1])
    index, weight = index.reshape(shape), np.broadcast_to(weight, index.shape).reshape(shape)
    row, tap = np.nonzero(index >= 0)
    triple = (weight[row, tap], (row, index[row, tap]))
    return sp.csr_array(triple, shape=(len(index), columns))


def sampled(shape: Shape, weights: sp.csr_array, lead: int) -> LinearMap:
    """Read every channel of all images with the same weights.

    Parameters
    ----------
    shape : (N, C, *spatial)
    weights : (lead * points, N * prod(spatial))
    lead : int
        Number of groups of points.

    Returns
    -------
    map ``(N, C, *spatial) -> (lead, C, points)``
    """
    n, c, area = *shape[:2], prod(shape[2:])
    points = weights.shape[0] // max(lead, 1)
    return chain(
        Reshape(shape, (n, c, area)),
        Transpose.of((n, c, area), (1, 0, 2)),
        Reshape((c, n, area), (c, n * area)),
        Along.of((c, n * area), 1, weights),
        Reshape((c, lead * points), (c, lead, points)),
        Transpose.of((c, lead, points), (1, 0, 2)),
    )


def by_coordinates(compact: Shape, slope: Array) -> LinearMap:
    """Move values by their slopes along the coordinates of their points.

    Parameters
    ----------
    compact : (lead, 1, points or 1, D)
        Shape of the coordinates.
    slope : (lead, C, points, D)

    Returns
    -------
    map ``compact -> (lead, C, points)``
    """
    out = slope.shape[:-1]
    return chain(
        Broadcast(compact, slope.shape),
        Diagonal.of(slope.shape, slope),
        adjoint(Broadcast((*out, 1), slope.shape)),
        Reshape((*out, 1), out),
    )
