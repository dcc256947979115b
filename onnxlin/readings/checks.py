"""What every reading does before it answers: its sums close to within rounding, or it raises."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.affine_map import TINY, AffineMap
from onnxlin.engines.seeds import Seeds, make_seeds
from onnxlin.errors import ResidualError, RowsError
from onnxlin.graph import Array
from onnxlin.program.rates import gamma, unit_roundoff

UNIT = float(np.finfo(np.float64).eps) / 2


def chosen(m: AffineMap, rows: Any) -> Seeds:
    """Read ``rows``: None for all rows of a map, positions among them, or combinations of them."""
    return make_seeds(rows, len(m.rows))


def of_outputs(m: AffineMap, rows: Seeds) -> Seeds:
    """Bring rows of a map to combinations of the model's outputs."""
    if rows.index is not None and m.rows.index is not None:
        return Seeds(m.rows.size, m.rows.index[rows.index], None)
    wide = np.dtype(np.float64)
    matrix = rows.apply(m.rows.dense(slice(None), wide))
    return Seeds(m.rows.size, None, matrix)


def row_names(m: AffineMap, rows: Seeds) -> tuple[str, ...]:
    """Name rows: the output's index where there is one, else which combination it is."""
    outputs = of_outputs(m, rows).index
    if outputs is None:
        return tuple(f"combination {i}" for i in range(len(rows)))
    return tuple(str(int(i)) for i in outputs)


def position(m: AffineMap, output: int) -> int:
    """Where an output stands among the rows of a map; of combinations, the row itself.

    Raises
    ------
    RowsError
        The map was made without that row.
    """
    if m.rows.index is None:
        return int(_one(output, len(m.rows)))
    wanted = int(_one(output, m.rows.size))
    found = np.flatnonzero(m.rows.index == wanted)
    if not found.size:
        raise RowsError(
            f"Output {output} is not among the rows of this map, which are "
            f"{m.rows.index[:10].tolist()}. Linearise with rows= that hold it."
        )
    return int(found[0])


def _one(index: int, size: int) -> int:
    found = make_seeds(index, size).index
    assert found is not None
    return int(found[0])


def size_of(rows: Seeds, sizes: Array) -> Array:
    """Combine sizes of rows: ``|combination| sizes``."""
    if rows.matrix is None:
        return rows.apply(sizes)
    return np.abs(rows.matrix) @ sizes


def allowed(m: AffineMap, rows: Seeds, *more: Array) -> Array:
    """What rounding may put between F(x) and sums that make up W x + b, for rows of a map.

    The map's own bound (docs/exactness.md), combined like the rows, and the float64 sums over
    the rows and over the features. ``more`` are further sizes (K,) that are summed likewise.
    """
    return size_of(rows, m.bound * m.scale) + _summing(m, rows, *more)


def _summing(m: AffineMap, rows: Seeds, *more: Array) -> Array:
    terms = len(m.x) + 2 * len(m.rows) + len(m.bias_by_node) + 4
    found: Array = gamma(terms, UNIT) * sum(more, start=size_of(rows, m.scale))
    return found


def floor(m: AffineMap) -> float:
    """A part of ``bound`` that costs nothing: ``bound * scale >= floor * (scale - TINY)``.

    Every step that reads an input, or has a bias, is charged with two roundings of the map's
    precision at least: those steps alone add up to the scale (`onnxlin.readings.data.floor`).
    Outputs that no step makes are charged with nothing.
    """
    if set(m.outputs) & {*m.inputs, *m.bias_by_node}:
        return 0.0
    # The computed bound is itself rounded, by far less than this.
    return 0.99 * gamma(2, unit_roundoff(m.dtype))


def require_f(
    what: str, m: AffineMap, rows: Seeds, total: Array, *more: Array, beside: Array | float = 0.0
) -> None:
    """Raise unless sums equal F(x) within what rounding allows.

    The bound takes a sweep of its own, so it is computed only where its floor is not enough.

    Parameters
    ----------
    what : str
        The sum, for the message.
    m : AffineMap
    rows : Seeds
        Of the rows of the map.
    total : array (K,)
    more : arrays (K,)
        Further sizes that were summed, see `allowed`.
    beside : array (K,), optional
        What else rounding may have added.

    Raises
    ------
    ResidualError
    """
    y = rows.apply(m.y)
    least = size_of(rows, floor(m) * np.maximum(m.scale - TINY, 0.0))
    if not (np.abs(total - y) <= least + _summing(m, rows, *more) + beside).all():
        require_equal(f"{what} against F(x)", total, y, allowed(m, rows, *more) + beside)


def require_equal(what: str, found: Array, expected: Array, limit: Array) -> None:
    """Raise unless every entry of ``found`` is as near to ``expected`` as rounding can bring it.

    Parameters
    ----------
    what : str
        The sum and what it must equal, for the message.
    found, expected, limit : array (K,)

    Raises
    ------
    ResidualError
    """
    gap = np.abs(found - expected)
    bad = ~(gap <= limit)  # NaN is past any bound
    if bad.any():
        row = int(np.argmax(np.where(bad, np.nan_to_num(gap, nan=np.inf), -1.0)))
        raise ResidualError(
            f"{what}: row {row} has {found[row]:.9g} against {expected[row]:.9g}, apart by "
            f"{gap[row]:.3g} where rounding allows {limit[row]:.3g}. m.verify() tells whether a "
            "node departs from the run."
        )
