"""How strongly the map stretches: singular values and vectors, norms, local Lipschitz constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from onnxlin.affine_map import AffineMap
from onnxlin.engines.forward import push
from onnxlin.engines.operator import MapOperator
from onnxlin.engines.reverse import pull
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import OptionError, ResidualError
from onnxlin.graph import Array
from onnxlin.program import LinearProgram
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.program.sweep import absolute
from onnxlin.readings.checks import UNIT, chosen, of_outputs, require_equal, size_of
from onnxlin.section.options import whole

# Up to this many rows or columns LAPACK on W itself takes no time worth saving.
SMALL = 64
TINY, HUGE = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The largest singular values of W with their vectors: ``W right_i = values_i left_i``.

    Parameters
    ----------
    values : array (k,)
        Largest first. The first is the local Lipschitz constant in l2.
    left : array (K, k)
        Directions of the rows, of length 1.
    right : array (n_in, k)
        Directions of x, of length 1. The sign of a pair is arbitrary.
    error : array (k,)
        The larger of ``|W v - s u|`` and ``|W.T u - s v|``: so far s may be from a singular value.
    """

    values: Array
    left: Array
    right: Array
    error: Array


def spectrum(m: AffineMap, k: int = 6, rows: Any = None) -> Spectrum:
    """Largest k singular values of W and their vectors; a large W is never formed.

    Parameters
    ----------
    m : AffineMap
    k : int
        1 to the smaller side of W.
    rows : positions (K,) or combinations (K, rows of m), optional

    Returns
    -------
    Spectrum
        By `scipy.sparse.linalg.svds` (ARPACK) on the operator of the map; by LAPACK on W where one
        side of it is at most 64 or all values are asked. In the precision of the map: linearise
        with ``dtype=numpy.float64`` for more digits. Each value has its own error.

    Raises
    ------
    OptionError, RowsError, DetachedError, ResidualError
    """
    program = m.made_from("spectrum()").program
    seeds = of_outputs(m, chosen(m, rows))
    operator = MapOperator(program, seeds)
    smaller = min(operator.shape)
    if not 1 <= whole("k", k) <= smaller:
        raise OptionError(
            f"k={k}: W is {operator.shape[0]} x {operator.shape[1]}, so it has {smaller} singular "
            f"values. Ask for 1 to {smaller}."
        )
    u, s, vt = _triplets(operator, k, program.dtype)
    order = np.argsort(-s, kind="stable")[:k]
    u, s, v = u[:, order], s[order].astype(np.float64), vt[order].T
    error = np.maximum(
        np.linalg.norm(operator.matmat(v) - s * u, axis=0),
        np.linalg.norm(operator.T.matmat(u) - s * v, axis=0),
    )
    reach = min(_rounding(program, seeds), HUGE)
    limit = reach / np.maximum(s, max(sqrt(reach), TINY))
    require_equal("singular values, W v against s u", s + error, s, limit)
    return Spectrum(s, u, v, error)


def _triplets(operator: LinearOperator, k: int, dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """Left vectors, values and right vectors, in any order, k or more."""
    smaller = min(operator.shape)
    start = np.random.default_rng(0).standard_normal(smaller).astype(dtype)
    wide = operator.shape[0] <= operator.shape[1]
    # ARPACK can begin nowhere if W is 0, and it finds fewer than all.
    if smaller > SMALL and k < smaller and (operator.T @ start if wide else operator @ start).any():
        found: tuple[Array, ...] = svds(operator, k=k, v0=start)
        return found
    unit = np.eye(smaller, dtype=dtype)
    W = operator.T.matmat(unit).T if wide else operator.matmat(unit)
    return tuple(np.linalg.svd(W, full_matrices=False))


def _rounding(program: LinearProgram, rows: Seeds) -> float:
    """What rounding may do to ``W.T W`` on a vector of length 1, which ARPACK iterates.

    ``gamma(k) |G|^2`` with k the roundings of a path there and back, and G the net of absolute
    maps, whose l2 norm is at most the root of its l1 and linf norms.
    """
    absolute = _absolute(program)
    across = push(absolute, np.ones((1, program.columns), program.dtype))[0]
    seeds = np.abs(rows.dense(slice(None), np.dtype(np.float64))).sum(axis=0, keepdims=True)
    back = pull(absolute, seeds)[0]
    norm = sqrt(float(size_of(rows, across).max(initial=0)) * float(back.max(initial=0)))
    fans = (op.fan_in + op.fan_out + 2 for step in program.steps for _, op in step.terms)
    count = 2 * sum(fans) + program.columns + len(rows)
    # Where so many roundings could cancel everything, gamma is infinite; W = 0 has none.
    return norm and gamma(count, unit_roundoff(program.dtype)) * norm**2


def _absolute(program: LinearProgram) -> LinearProgram:
    steps = (replace(step, terms=tuple(absolute(step.terms)), bias=None) for step in program.steps)
    return replace(program, steps=tuple(steps))


@dataclass(frozen=True)
class Norms:
    """Operator norms of W: in the region of x, ``|F(x') - F(x)|_p <= norm_p |x' - x|_p``.

    Parameters
    ----------
    l1 : float
        Largest column sum of ``|W|``.
    l2 : float
        Largest singular value.
    linf : float
        Largest row sum of ``|W|``.
    frobenius : float
        Root of the sum of squares; no operator norm, at least l2.
    """

    l1: float
    l2: float
    linf: float
    frobenius: float


def norms(m: AffineMap, rows: Any = None) -> Norms:
    """Operator norms of W, the local Lipschitz constants of the model at x.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
        With one row they bound how fast that one output can change.

    Returns
    -------
    Norms
        In float64 from W as it is. For a piecewise-affine model each is the smallest constant that
        serves in the region of x; for a smooth one it holds at x alone.

    Raises
    ------
    RowsError
    ResidualError
        The norms break an inequality that norms of one matrix must keep.
    """
    W = chosen(m, rows).apply(m.W.astype(np.float64))
    size = np.abs(W)
    found = Norms(
        l1=float(size.sum(axis=0).max(initial=0)),
        l2=_largest(W),
        linf=float(size.sum(axis=1).max(initial=0)),
        frobenius=float(np.linalg.norm(W)),
    )
    _require_norms(found, W.shape)
    return found


def _largest(W: Array) -> float:
    if not W.size:
        return 0.0
    if min(W.shape) <= SMALL:
        return float(np.linalg.norm(W, 2))
    start = np.random.default_rng(0).standard_normal(min(W.shape))
    return float(svds(W, k=1, v0=start, return_singular_vectors=False)[0])


def _require_norms(found: Norms, shape: tuple[int, ...]) -> None:
    """``frobenius^2 / rank <= l2^2 <= l1 linf``, and ``l2 <= frobenius``."""
    slack = 1 + gamma(8 * max(*shape, 1), UNIT)
    highest = min(found.frobenius, sqrt(found.l1 * found.linf)) * slack
    lowest = found.frobenius / sqrt(max(min(shape), 1)) / slack
    if not lowest <= found.l2 <= highest:
        raise ResidualError(
            f"The largest singular value of W came out as {found.l2:.9g}, but its other norms say "
            f"{lowest:.9g} to {highest:.9g}. Linearise with dtype=numpy.float64."
        )
