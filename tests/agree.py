"""One map composed in two ways is one map, but for what rounding can do (docs/exactness.md).

Bits are equal only where the same operations run on arrays of the same shapes. For another number
of rows, in another engine, in another runtime, on another processor, kernels add the same products
up in another order. How far that can carry a result follows from the sizes of what was added up,
not from the size of the result, which may be what is left after large numbers have cancelled.
"""

from __future__ import annotations

import numpy as np

from onnxlin import AffineMap
from onnxlin.graph import Array
from onnxlin.program.rates import gamma
from onnxlin.readings.checks import UNIT
from onnxlin.testing.bounds.composing import made_anew, of_biases, of_directions
from onnxlin.testing.laws.engines import telling_directions


def assert_same_map(m: AffineMap, other: AffineMap, *, anew: bool = False) -> None:
    """W and b are those of ``m``, which adjoint sweeps have made.

    Parameters
    ----------
    anew : bool
        Whether ``other`` has computed the coefficients of smooth nodes by kernels of its own.
    """
    assert_same_rows(m, other.W, anew=anew)
    made = m.made_from("a test")
    sized = made_anew(made.program, made.values) if anew else None
    assert_close(other.b, m.b, 2 * of_biases(made.program, m.rows, sized))


def assert_same_rows(m: AffineMap, W: Array, *, anew: bool = False) -> None:
    """W is that of ``m`` in the columns in which the two differ most, and times random vectors."""
    assert W.shape == m.W.shape
    ours, theirs = m.W.astype(np.float64), W.astype(np.float64)
    ways = telling_directions(theirs - ours, np.abs(ours), random=True)
    summing = 2 * gamma(2 * ours.shape[1] + 2, UNIT) * (np.abs(ours) @ np.abs(ways.T))
    assert_close(theirs @ ways.T, ours @ ways.T, room(m, ways, anew=anew) + summing)


def assert_same_units(m: AffineMap, one: Array, other: Array, bias: Array) -> None:
    """Both are ``W * bias`` entry by entry, shown by the units in which they differ most.

    Parameters
    ----------
    m : AffineMap
        From the tensor that the bias is added to.
    one, other : arrays (K, *shape of the tensor)
    bias : array (units)
    """
    one, other = (values.reshape(len(values), -1).astype(np.float64) for values in (one, other))
    worst = np.argsort(-np.abs(one - other).max(axis=0, initial=0), kind="stable")[:8]
    ways = np.zeros((len(worst), len(bias)))
    ways[np.arange(len(worst)), worst] = bias[worst]
    # A cotangent that is 0 may be left out; each product with the bias is rounded once.
    once = 2 * UNIT * np.maximum(np.abs(one), np.abs(other))[:, worst]
    assert_close(one[:, worst], other[:, worst], room(m, ways) + once)


def room(m: AffineMap, ways: Array, *, anew: bool = False) -> Array:
    """How far two compositions of ``m`` may be apart in ``W v``, for vectors (k, n): (K, k)."""
    made = m.made_from("a test")
    sized = made_anew(made.program, made.values) if anew else None
    found: Array = 2 * of_directions(made.program, m.rows, ways, sized)
    return found


def sums(terms: int, sizes: Array | float) -> Array | float:
    """How far two float64 sums of so many terms may be apart: ``sizes`` are those of |terms|."""
    return 2 * gamma(terms + 2, UNIT) * sizes


def assert_close(found: Array | float, expected: Array | float, allowed: Array | float) -> None:
    """Every entry is as near as rounding brings it; NaN is near nothing."""
    gap = np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64))
    near = gap <= allowed
    if not np.all(near):
        most = np.max(gap / np.maximum(allowed, np.finfo(np.float64).tiny))
        raise AssertionError(f"{np.sum(~near)} of {near.size} entries, by {most:.3g} times at most")
