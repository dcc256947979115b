"""Two maps side by side, row by row: y, W, contributions and b."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.readings.checks import chosen, row_names
from onnxlin.readings.compare.allowed import allowed, units
from onnxlin.readings.row import summary

# Entries of all tensors times features: up to here every entry of W has a bound of its own.
EVERY_ENTRY = 2**22
# Random directions at most, and at least; products that those between may take.
PROBES, FEWEST, WORK = 16, 2, 2**33


@dataclass(frozen=True)
class FeatureDifference:
    """An entry of W that differs, and what it brings to the row in A and in B."""

    tensor: str
    index: tuple[int, ...]
    x: float
    weights: tuple[float, float]
    contributions: tuple[float, float]


@dataclass(frozen=True)
class RowDifference:
    """One row of the maps.

    Parameters
    ----------
    position : int
    name : str
        Index of the output, or which combination it is.
    y, b : (float, float)
        In A and in B.
    y_gap, y_allowed, b_gap, b_allowed : float
    W_sizes : (float, float)
        ``|W|`` (l2) of the row in A and in B.
    W_gap : float
        ``|W_A - W_B|`` (l2).
    W_relative : float or None
        That over ``|W_A|``; None where W_A is 0 and W_B is not.
    W_excess : float
        Largest of ``|(W_A - W_B) v|`` over its bound; up to 1 rounding explains it.
    W_same : bool
        Whether that, or the tolerance given, explains the difference.
    cosine : float or None
        Of the angle between the rows; None where one of them is 0.
    contributions_gap : float
        ``|(W_A - W_B) x|`` summed over the features.
    features : tuple of FeatureDifference
        The largest differences of W, largest first.
    same : bool
        Whether y, W and b are as near as allowed.
    """

    position: int
    name: str
    y: tuple[float, float]
    y_gap: float
    y_allowed: float
    W_sizes: tuple[float, float]
    W_gap: float
    W_relative: float | None
    W_excess: float
    W_same: bool
    cosine: float | None
    contributions_gap: float
    b: tuple[float, float]
    b_gap: float
    b_allowed: float
    features: tuple[FeatureDifference, ...]
    same: bool


def rows(
    a: AffineMap, b: AffineMap, columns: Array, *, tol: float | None, top: int
) -> tuple[tuple[RowDifference, ...], str]:
    """Compare the rows of two maps.

    Parameters
    ----------
    columns : integer array (n_in,)
        For every column of A, that of B.
    tol : float, optional
        Accept this much more: of the residual's scale in y and b, of ``|W_A|`` in W.
    top : int
        Features to list for each row.

    Returns
    -------
    rows, and how W was judged
    """
    directions, how = _directions(a, b)
    W_limit, b_limit = _limits(a, b, columns, directions)
    y_limit = a.bound * a.scale + b.bound * b.scale
    beside = np.abs(a.x - b.x[columns])
    found = []
    for i, name in enumerate(row_names(a, chosen(a, None))):
        ours, theirs = a.W[i].astype(np.float64), b.W[i, columns].astype(np.float64)
        gap = ours - theirs
        seen = np.abs(gap if directions is None else directions @ gap)
        limits = (y_limit[i] + float(np.abs(ours) @ beside), b_limit[i])
        excess = _excess(seen, W_limit[i])
        more = None if tol is None else (tol, tol * float(a.scale[i]))
        one = _row((a, b), i, name, W=(ours, theirs), limits=limits, excess=excess, more=more)
        found.append(replace(one, features=_features(a, i, ours, theirs, top)))
    return tuple(found), how


def _directions(a: AffineMap, b: AffineMap) -> tuple[Array | None, str]:
    """Directions in which W is judged: None for every entry."""
    size = max(units(m.made_from("a comparison").program) for m in (a, b))
    if size * len(a.x) <= EVERY_ENTRY:
        return None, "every entry"
    products = max(m.made_from("a comparison").program.nnz for m in (a, b))
    count = int(np.clip(WORK // max(products, 1), FEWEST, PROBES))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (count, len(a.x)))
    return np.concatenate([a.x[None], signs]), f"along x and {count} random directions"


def _limits(
    a: AffineMap, b: AffineMap, columns: Array, directions: Array | None
) -> tuple[Array, Array]:
    """What rounding may put between W v of A and of B, and between their b."""
    chosen = np.eye(len(a.x)) if directions is None else directions
    (W_a, b_a), (W_b, b_b) = allowed(a, chosen), allowed(b, chosen[:, np.argsort(columns)])
    return W_a + W_b, b_a + b_b


def _row(
    maps: tuple[AffineMap, AffineMap],
    i: int,
    name: str,
    *,
    W: tuple[Array, Array],
    limits: tuple[float, float],
    excess: float,
    more: tuple[float, float] | None,
) -> RowDifference:
    """Compare one row; ``more`` is what the caller accepts beside rounding: of |W|, and in y."""
    (a, b), gap = maps, W[0] - W[1]
    sizes = (float(np.linalg.norm(W[0])), float(np.linalg.norm(W[1])))
    W_gap = float(np.linalg.norm(gap))
    relative = W_gap / sizes[0] if sizes[0] else (0.0 if not W_gap else None)
    y, bias = (float(a.y[i]), float(b.y[i])), (float(a.b[i]), float(b.b[i]))
    y_gap, b_gap = abs(y[0] - y[1]), abs(bias[0] - bias[1])
    y_allowed, b_allowed = (float(limit) + (more[1] if more else 0.0) for limit in limits)
    W_same = excess <= 1 or (more is not None and relative is not None and relative <= more[0])
    return RowDifference(
        position=i,
        name=name,
        y=y,
        y_gap=y_gap,
        y_allowed=y_allowed,
        W_sizes=sizes,
        W_gap=W_gap,
        W_relative=relative,
        W_excess=excess,
        W_same=W_same,
        cosine=float(W[0] @ W[1] / (sizes[0] * sizes[1])) if all(sizes) else None,
        contributions_gap=float(np.abs(gap) @ np.abs(a.x)),
        b=bias,
        b_gap=b_gap,
        b_allowed=b_allowed,
        features=(),
        same=W_same and y_gap <= y_allowed and b_gap <= b_allowed,
    )


def _features(
    a: AffineMap, i: int, ours: Array, theirs: Array, top: int
) -> tuple[FeatureDifference, ...]:
    """List the largest differences of W in a row."""
    return tuple(
        FeatureDifference(
            f.tensor,
            f.index,
            f.x,
            (float(ours[f.column]), float(theirs[f.column])),
            (float(ours[f.column]) * f.x, float(theirs[f.column]) * f.x),
        )
        for f in summary.strongest_features(a, i, top, ours - theirs)
    )


def _excess(seen: Array, limit: Array) -> float:
    """Largest quotient; 0 over 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(seen == 0, 0.0, seen / limit)
    return float(np.nan_to_num(found, nan=np.inf).max(initial=0.0))
