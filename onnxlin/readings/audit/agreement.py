"""How near one attribution is to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.graph import Array
from onnxlin.readings.judging.fidelity import pearson

TOPS = (10, 100)


@dataclass(frozen=True)
class Agreement:
    """A map against a reference, feature by feature.

    Parameters
    ----------
    pearson, spearman, cosine : float
        Correlation, that of the ranks, and the cosine; NaN where one of the two does not vary.
    scale : float
        The multiple of the map that is nearest to the reference in l2.
    distance : float
        ``|map - reference| / |reference|`` in l2, as it is.
    l1, l2 : float
        The same for the best multiple of the map, which each norm has for itself.
    signs : float
        Share of the reference's features other than 0 whose sign the map has.
    top : {k: float}
        Share of the k features of the largest size that both have among theirs; ties in order.
    """

    pearson: float
    spearman: float
    cosine: float
    scale: float
    distance: float
    l1: float
    l2: float
    signs: float
    top: Mapping[int, float]


def agreement(found: Array, reference: Array) -> Agreement:
    """Compare a map with a reference, both ``(n,)``."""
    a, more = _unit(np.asarray(found, np.float64))
    r, size = _unit(np.asarray(reference, np.float64))
    power, length = float(a @ a), float(np.linalg.norm(r))
    dot, known = float(a @ r), r != 0
    scale = dot / power if power else 0.0
    return Agreement(
        pearson=pearson(a, r),
        spearman=pearson(ranks(a), ranks(r)),
        cosine=float(dot / (np.sqrt(power) * length)) if power and length else float("nan"),
        scale=scale * size / more,
        distance=_over(_apart(a, r, more / size), length),
        l1=_over(float(np.abs(median_scale(a, r) * a - r).sum()), float(np.abs(r).sum())),
        l2=_over(float(np.linalg.norm(scale * a - r)), length),
        signs=float((np.sign(a) == np.sign(r))[known].mean()) if known.any() else float("nan"),
        top={k: overlap(a, r, k) for k in _tops(len(r))},
    )


def _apart(a: Array, r: Array, ratio: float) -> float:
    """``|ratio a - r|``, without squares that overflow."""
    if ratio > 1:
        return float(np.linalg.norm(a - r / ratio)) * ratio
    return float(np.linalg.norm(ratio * a - r))


def _unit(values: Array) -> tuple[Array, float]:
    """Bring the largest size to about 1, so that squares neither vanish nor overflow.

    By a power of two, which rounds nothing.
    """
    largest = float(np.abs(values).max(initial=0.0))
    unit = float(2.0 ** np.floor(np.log2(largest))) if largest else 1.0
    return values / unit, unit


def _tops(count: int) -> list[int]:
    """Lengths of the lists that are compared: of few features, the largest half."""
    return [k for k in TOPS if k < count] or [max(count // 2, 1)]


def _over(gap: float, size: float) -> float:
    return gap / size if size else float("nan")


def ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return found


def median_scale(a: Array, r: Array) -> float:
    """The s for which ``sum |s a - r|`` is least: median of ``r / a`` weighted by ``|a|``."""
    (known,) = np.nonzero(a)
    if not known.size:
        return 0.0
    ratio, weight = r[known] / a[known], np.abs(a[known])
    order = np.argsort(ratio, kind="stable")
    half = np.cumsum(weight[order])
    return float(ratio[order][np.searchsorted(half, half[-1] / 2)])


def overlap(a: Array, r: Array, k: int) -> float:
    """Share of the k largest ``|r|`` that are among the k largest ``|a|``."""
    first, second = (np.argsort(-np.abs(each), kind="stable")[:k] for each in (a, r))
    return float(np.isin(second, first).mean())
