"""The model on a patch of a plane: the exact partition into the polygons on which it is affine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from onnxlin.engines.job import Progress
from onnxlin.engines.seeds import make_seeds
from onnxlin.errors import OptionError, ResidualError
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Array
from onnxlin.readings.path.between import Walk
from onnxlin.readings.path.cell import Cell
from onnxlin.readings.path.tally import PIECES
from onnxlin.section.feeds import Instance

# The corners of a patch, in order round it.
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
# Areas of a partition add up to this share of the whole: cuts round, and slivers thinner than
# 2^-40 of the patch are not cut off.
CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class Polygon:
    """A part of the patch on which the model is one affine map.

    Parameters
    ----------
    at : array (n, 2)
        Its corners (u, v), counterclockwise: ``x = origin + u * (right - origin) + v * (up -
        origin)``.
    y : array (n, rows)
        F at the corners, as it is inside.
    """

    at: Array
    y: Array

    @property
    def area(self) -> float:
        """In units of the patch, whose area is 1."""
        u, v = self.at.T
        return 0.5 * float(np.abs(u @ np.roll(v, -1) - v @ np.roll(u, -1)))

    @property
    def centre(self) -> Array:
        """Mean of the corners, which lies inside: ``(2,)``."""
        return self.at.mean(axis=0)


@dataclass(frozen=True, eq=False)
class Plane:
    """The partition of a patch.

    Parameters
    ----------
    polygons : tuple of Polygon
        One for each pattern that the patch meets.
    corners : array (3, n_in)
        ``origin, right, up`` as the model saw them.
    """

    polygons: tuple[Polygon, ...]
    corners: Array

    def __len__(self) -> int:
        return len(self.polygons)

    def x(self, at: Array) -> Array:
        """Inputs at points of the patch: ``(k, 2) -> (k, n_in)``."""
        origin, right, up = self.corners
        return origin + at[:, :1] * (right - origin) + at[:, 1:] * (up - origin)


def partition(
    lin: Linearizer,
    origin: Instance,
    right: Instance,
    up: Instance,
    *,
    rows: Any = None,
    pieces: int = PIECES,
    progress: Progress | None = None,
) -> Plane:
    """Cut the patch ``origin + u (right - origin) + v (up - origin)``, u and v in 0..1.

    Exact up to float64 rounding, as `onnxlin.readings.path.walk` is, for the same nets. Each
    pattern is one polygon: a region is convex, and so is where a plane meets it.
    Source: Sotoudeh, Thakur, "Computing Linear Restrictions of Neural Networks", NeurIPS 2019.

    Parameters
    ----------
    lin : Linearizer
    origin, right, up : instances
        Three corners of the patch. Inputs that are not linearised are held as origin has them.
    rows : None, indices or combinations
        Which outputs to keep.
    pieces : int
        How many parts there may be.
    progress : callable, optional
        Called with (thousandths of the area done, 1000).

    Raises
    ------
    RegionError
        As `walk`.
    OptionError
        The corners lie on a line.
    ResidualError
        The polygons do not tile the patch.
    """
    lin = lin.steady(3)
    maps = [lin(x, rows=[0], dtype=np.float64) for x in (origin, right, up)]
    corners = np.stack([m.x for m in maps])
    _require_plane(corners)
    road = Walk(lin, origin, pieces)
    seeds = make_seeds(rows, sum(value.size for value in maps[0].outputs.values()))
    first, second, third = corners
    square = np.stack([first, second, second + third - first, third])
    groups: dict[tuple[bytes, ...], list[tuple[Cell, Array]]] = {}
    done = 0.0
    for batch in road.cells(square, SQUARE):
        for cell in batch:
            y = seeds.apply(road.outputs_at(cell).T).T
            groups.setdefault(cell.key, []).append((cell, y))
            done += Polygon(cell.at, y).area
        if progress is not None:
            progress(min(round(1000 * done), 1000), 1000)
    polygons = tuple(p for group in groups.values() for p in _joined(group))
    _require_tiles(polygons)
    return Plane(polygons, corners)


def _require_plane(corners: Array) -> None:
    sides = corners[1:] - corners[0]
    if np.linalg.matrix_rank(sides) < 2:
        raise OptionError(
            "origin, right and up lie on one line, so they span no plane. Take three inputs of "
            "which none is between, or beyond, the other two."
        )


def _joined(group: Sequence[tuple[Cell, Array]]) -> list[Polygon]:
    """Join the parts of one pattern: their convex hull, if it is no larger than they are."""
    parts = [Polygon(cell.at, y) for cell, y in group]
    if len(parts) == 1:
        return parts
    at, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("at", "y"))
    try:
        hull = ConvexHull(at)
    except QhullError:
        return parts  # slivers
    whole = Polygon(at[hull.vertices], y[hull.vertices])
    area = sum(part.area for part in parts)
    # A pattern key does not name what jumps and comes back: then the parts stay parts.
    return [whole] if abs(whole.area - area) <= CLOSE else parts


def _require_tiles(polygons: Sequence[Polygon]) -> None:
    area = sum(polygon.area for polygon in polygons)
    if not abs(area - 1) <= CLOSE:
        raise ResidualError(
            f"The {len(polygons)} polygons cover {area:.12g} of the patch, not 1: a cut went wrong."
        )
