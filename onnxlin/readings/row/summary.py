"""The numbers of one row of a map that a person reads first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import AffineMap, Verdict
from onnxlin.graph import Array


@dataclass(frozen=True)
class Feature:
    """An entry of x and what it brings to one row: ``weight * x``, or ``weight * (x - x0)``."""

    tensor: str
    index: tuple[int, ...]
    column: int
    x: float
    weight: float
    contribution: float


@dataclass(frozen=True)
class NodeShare:
    """What one node's bias brings to one row of b."""

    node: str
    value: float


@dataclass(frozen=True)
class RowSummary:
    """One row: ``y`` against ``Wx + b``.

    ``residual`` and ``bound`` are relative to what adds up to the row, ``error`` and
    ``error_bound`` the same in units of the outputs.
    ``Wx_share`` and ``b_share`` are fractions of ``Wx + b``; they add up to 1, one of them is
    negative where the two pull in opposite directions, and both are None where ``Wx + b`` is 0.
    """

    position: int
    y: float
    Wx: float
    b: float
    Wx_share: float | None
    b_share: float | None
    residual: float
    bound: float
    error: float
    error_bound: float
    verdict: Verdict

    @property
    def ok(self) -> bool:
        """Whether rounding explains the residual, and the bound is less than the size of F."""
        return self.verdict is Verdict.PASS


def summarise(m: AffineMap) -> list[RowSummary]:
    """Summarise every row of a map, in the order in which they were asked for."""
    Wx, b = m.Wx, m.b
    columns = (m.y, Wx, b, *shares(Wx, b), m.residual, m.bound, m.error, m.error_bound)
    rows = zip(*(_listed(column) for column in columns), m.verdicts, strict=True)
    return [RowSummary(i, *row) for i, row in enumerate(rows)]


def shares(Wx: Array, b: Array) -> tuple[Array, Array]:
    """Fractions of ``Wx + b``; NaN where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return Wx / (Wx + b), b / (Wx + b)


def _listed(values: Array) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]


def strongest_features(
    m: AffineMap, position: int, count: int, parts: Array | None = None
) -> list[Feature]:
    """Features of the largest ``|W x|`` in a row, largest first; zeros are left out.

    ``parts`` are other contributions to rank, ``(n_in,)``: those against a baseline.
    """
    parts = contributions(m, position) if parts is None else parts
    return [
        _feature(m, position, column, float(parts[column])) for column in _largest(parts, count)
    ]


def contributions(m: AffineMap, position: int) -> Array:
    """``W * x`` of one row in float64, ``(n_in,)``."""
    found: Array = m.W[position].astype(np.float64) * m.x
    return found


def strongest_biases(m: AffineMap, position: int, count: int) -> list[NodeShare]:
    """Nodes that bring the largest shares of a row's b, largest first; zeros are left out."""
    nodes = list(m.bias_by_node)
    shares = np.array([m.bias_by_node[node][position] for node in nodes])
    return [NodeShare(nodes[i], float(shares[i])) for i in _largest(shares, count)]


def _largest(values: Array, count: int) -> list[int]:
    size = np.abs(values)
    count = min(count, int(np.count_nonzero(size)))
    if not count:
        return []
    # Only the candidates are sorted: a row may have millions of entries.
    limit = np.partition(size, len(size) - count)[len(size) - count]
    found = np.flatnonzero(size >= limit)
    order = np.argsort(-size[found], kind="stable")[:count]
    return [int(i) for i in found[order]]


def _feature(m: AffineMap, position: int, column: int, contribution: float) -> Feature:
    tensor = next(t for t, at in m.columns_of.items() if at.start <= column < at.stop)
    shape = m.inputs[tensor].shape
    index = np.unravel_index(column - m.columns_of[tensor].start, shape) if shape else ()
    return Feature(
        tensor,
        tuple(int(i) for i in index),
        column,
        float(m.x[column]),
        float(m.W[position, column]),
        contribution,
    )


def top(values: Array, count: int) -> list[int]:
    """Positions of the largest values, largest first; ties in their order."""
    return [
        int(i) for i in np.argsort(-np.asarray(values, dtype=np.float64), kind="stable")[:count]
    ]


def is_distribution(values: Sequence[float] | Array) -> bool:
    """Whether the values are probabilities already: not negative, summing to 1 in float32."""
    found = np.asarray(values, dtype=np.float64)
    rounding = len(found) * float(np.finfo(np.float32).eps)
    return bool(found.min() >= 0 and abs(found.sum() - 1) <= rounding)


def probabilities(values: Array) -> tuple[str, Array]:
    """Return "output" and the values if they are probabilities, else "softmax" and theirs.

    The second is for display alone: nothing says that the outputs are logits.
    """
    if is_distribution(values):
        return "output", values
    shifted = np.exp(np.asarray(values, dtype=np.float64) - np.max(values))
    return "softmax", shifted / shifted.sum()


def worst(rows: Sequence[RowSummary]) -> RowSummary | None:
    """Return the row whose residual comes closest to its bound, or is furthest past it.

    One that fails stands before one that is not decided, and that before all that pass.
    """
    order = {Verdict.FAIL: 2, Verdict.UNDECIDED: 1, Verdict.PASS: 0}
    return max(rows, key=lambda row: (order[row.verdict], _ratio(row)), default=None)


def _ratio(row: RowSummary) -> float:
    residual, bound = (np.inf if v is None else v for v in (row.residual, row.bound))
    return residual / bound if bound and np.isfinite(bound) else residual and np.inf
