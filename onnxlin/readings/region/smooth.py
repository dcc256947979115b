"""How far W moves from one input to another: what stands in for a region in smooth nets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.linearizer import Linearizer
from onnxlin.section.feeds import Instance


@dataclass(frozen=True)
class Drift:
    """How the map at x' differs from the map at x.

    Parameters
    ----------
    distance : float
        ``|x' - x|`` (l2).
    W : float
        ``|W' - W| / |W|`` (Frobenius): 0 inside of one region.
    error : float
        ``max |F(x') - (W x' + b)|`` over the rows: what the map of x is off by at x'.
    bound : float
        What rounding alone may make of ``error`` where both points share a pattern.
    """

    distance: float
    W: float
    error: float
    bound: float


def drift(lin: Linearizer, m: AffineMap, others: Iterable[Instance]) -> list[Drift]:
    """Linearise at other inputs and compare with the map at x.

    Parameters
    ----------
    lin : Linearizer
        That made ``m``.
    m : AffineMap
        At x, for any rows, in any mode.
    others : instances
        The x' to compare with; one adjoint sweep a row each.
    """
    seeds = m.rows
    rows = seeds.index if seeds.matrix is None else seeds.matrix
    # By the engine of m: where W is the same, it is to the last bit.
    return [_compare(m, lin(x, rows, m.engine, m.dtype)) for x in others]


def _compare(m: AffineMap, other: AffineMap) -> Drift:
    W = m.W.astype(np.float64)
    size = float(np.linalg.norm(W))
    moved = float(np.linalg.norm(other.W.astype(np.float64) - W))
    gap = np.abs(other.y - m(other.x))
    rounding = other.bound * other.scale + m.bound * m.scale
    return Drift(
        distance=float(np.linalg.norm(other.x - m.x)),
        W=moved / size if size else float(moved > 0),
        error=float(gap.max(initial=0.0)),
        bound=float(rounding.max(initial=0.0)),
    )
