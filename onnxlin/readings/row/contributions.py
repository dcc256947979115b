"""What every feature brings to a row: W x, or W (x - x0) against a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap, frame
from onnxlin.affine_map.wide import LARGE, by_rows
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Shape
from onnxlin.readings.checks import chosen, of_outputs, position, require_f, size_of
from onnxlin.section.numbers import flat

Baseline = npt.ArrayLike | Mapping[str, npt.ArrayLike]


@dataclass(frozen=True, eq=False)
class Contributions:
    """``values.sum(axis=1) + rest = W x + b = F(x)``, row by row.

    Parameters
    ----------
    values : array (K, n_in)
        Signed, in float64: ``W * x``, or ``W * (x - x0)``.
    rest : array (K,)
        What no feature is given: b, or ``W x0 + b``.
    y : array (K,)
        F(x) as onnxruntime computed it.
    rows : tuple of str
        Names of the rows.
    shapes : {input name: shape}
    features : tuple of str
        Names of the features.
    """

    values: Array
    rest: Array
    y: Array
    rows: tuple[str, ...]
    shapes: Mapping[str, Shape]
    features: tuple[str, ...] = ()

    @property
    def total(self) -> Array:
        """Sum over the features, ``(K,)``."""
        found: Array = self.values.sum(axis=1)
        return found

    @property
    def by_input(self) -> dict[str, Array]:
        """The same values in the shape of each input, ``{input name: (K, *shape)}``."""
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        parts = np.split(self.values, np.cumsum(sizes)[:-1], axis=1)
        pairs = zip(self.shapes.items(), parts, strict=True)
        return {name: part.reshape(len(part), *shape) for (name, shape), part in pairs}

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame`, a feature a line and a row a column.

        Its ``attrs`` hold ``rest`` and ``y``: a column and its rest sum to F(x).

        Raises
        ------
        OnnxlinError
            pandas is not installed.
        """
        about = {"rest": self.rest.tolist(), "y": self.y.tolist()}
        return frame(self.values.T, self.features, self.rows, **about)

    @property
    def absolute(self) -> Array:
        """``|values|``: the signs are lost, and the sum with them."""
        return np.abs(self.values)

    @property
    def fraction(self) -> Array:
        """Values as fractions of F(x), rescaled row by row; NaN or infinite where F(x) is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = self.values / self.y[:, None]
        return found


@dataclass(frozen=True, eq=False)
class Relative(Contributions):
    """Contributions against a baseline x0: ``F(x) = sum of W (x - x0) + (W x0 + b)``.

    Parameters
    ----------
    F0 : array (K,) or None
        What the model itself says at x0; None where no `Linearizer` was given.
    """

    F0: Array | None = None

    @property
    def gap(self) -> Array | None:
        """``F(x0) - (W x0 + b)``: 0 up to rounding where x0 lies in the region of x.

        Anywhere else it is what the map of x does not know about the model at x0.
        """
        return None if self.F0 is None else self.F0 - self.rest


def contributions(m: AffineMap, rows: Any = None) -> Contributions:
    """Split F(x) into one signed number for each feature, and b.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
        Of the rows of m; by default all of them. See `margin` and `mean`.

    Returns
    -------
    Contributions
        Nothing is made absolute or rescaled. Exact at x; for a piecewise-affine model W, and with
        it every number here, is the same in the whole region of x.

    Raises
    ------
    RowsError, ResidualError
        The sum misses F(x) by more than the map's own bound.

    Source: Li et al., arXiv 2310.16295.
    """
    return _of_seeds(m, chosen(m, rows))


def margin(m: AffineMap, a: int, b: int) -> Contributions:
    """What every feature brings to output ``a`` against output ``b``: the row ``F_a - F_b``.

    Raises
    ------
    RowsError
        The map was made without one of the two.
    """
    combination = np.zeros((1, len(m.rows)))
    combination[0, position(m, a)] += 1
    combination[0, position(m, b)] -= 1
    found = _of_seeds(m, Seeds(len(m.rows), None, combination))
    return replace(found, rows=(_against(m, a, b),))


def mean(m: AffineMap) -> Contributions:
    """What every feature brings to the mean of all rows of a map."""
    count = len(m.rows)
    found = _of_seeds(m, Seeds(count, None, np.full((1, count), 1 / max(count, 1))))
    return replace(found, rows=("mean",))


def relative(
    m: AffineMap, x0: Baseline, lin: Linearizer | None = None, rows: Any = None
) -> Relative:
    """Split F(x) against a baseline x0.

    Parameters
    ----------
    m : AffineMap
    x0 : number, array or {input name: array}
        Of the shapes of the map's inputs, flattened, or one number for every feature.
    lin : Linearizer, optional
        The one that made m: then the model is run at x0 as well, once.
    rows : positions (K,) or combinations (K, rows of m), optional

    Returns
    -------
    Relative
        The identity is that of the map alone, so it holds for any x0. How far the map is from
        the model at x0 is its ``gap``.

    Raises
    ------
    InputError
        x0 does not fit, or the model cannot be run from the map's inputs alone.
    RowsError, ResidualError
    """
    seeds, start = chosen(m, rows), flat_baseline(m, x0)
    W = _rows_of_w(m, seeds)
    rest = W @ start + seeds.apply(m.b)
    found = Relative(
        W * (m.x - start),
        rest,
        seeds.apply(m.y),
        _named(m, seeds),
        m.shapes[0],
        m.features,
        None if lin is None else seeds.apply(m.rows.apply(_run(m, lin, start))),
    )
    size = size_of(seeds, by_rows(m.W, lambda W: np.abs(W) @ np.abs(start)))
    total = found.total + found.rest
    require_f("sum of W (x - x0) + (W x0 + b)", m, seeds, total, 2 * size)
    return found


def _of_seeds(m: AffineMap, seeds: Seeds) -> Contributions:
    values = _rows_of_w(m, seeds) * m.x
    ends = seeds.apply(m.b), seeds.apply(m.y)
    found = Contributions(values, *ends, _named(m, seeds), m.shapes[0], m.features)
    require_f("sum of W x over the features, + b,", m, seeds, found.total + found.rest)
    return found


def _named(m: AffineMap, rows: Seeds) -> tuple[str, ...]:
    """Name rows of a map by the model's classes where it has such."""
    return m.names.of_rows(of_outputs(m, rows))


def _against(m: AffineMap, a: int, b: int) -> str:
    names = _named(m, chosen(m, [position(m, a), position(m, b)]))
    return f"{names[0]} against {names[1]}" if m.rows.index is not None else f"{a} against {b}"


def _rows_of_w(m: AffineMap, seeds: Seeds) -> Array:
    """Chosen rows of W in float64; of a large W only the rows that enter, a few at a time."""
    if seeds.matrix is None:
        return seeds.apply(m.W).astype(np.float64)
    found = np.zeros((len(seeds), len(m.x)))
    (used,) = np.nonzero(seeds.matrix.any(axis=0))
    for rows in np.array_split(used, max(len(used) * len(m.x) // LARGE, 1)):
        found += seeds.matrix[:, rows] @ m.W[rows].astype(np.float64)
    return found


def flat_baseline(m: AffineMap, x0: Baseline) -> Array:
    """Read a baseline as one number for each column of W."""
    return flat("The baseline", x0, m.shapes[0], one=True)


def _run(m: AffineMap, lin: Linearizer, start: Array) -> Array:
    """F(x0), flattened."""
    feeds = {n: start[at].reshape(m.inputs[n].shape) for n, at in m.columns_of.items()}
    if set(feeds) != set(lin.graph.inputs):
        raise InputError(
            f"The model runs from {sorted(lin.graph.inputs)}, the map starts at {sorted(feeds)}: "
            "a baseline for the one is none for the other. Leave lin out to read the map alone."
        )
    outputs = lin.run(feeds)
    return np.concatenate([value.ravel().astype(np.float64) for value in outputs.values()])
