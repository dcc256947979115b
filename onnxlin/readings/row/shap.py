"""Maps as a `shap.Explanation`, for the plots of the shap package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.errors import InputError, OnnxlinError, ResidualError
from onnxlin.graph import Array
from onnxlin.program.rates import gamma
from onnxlin.readings.row.contributions import flat_baseline

if TYPE_CHECKING:
    import shap

UNIT = float(np.finfo(np.float64).eps) / 2


def explanation(
    maps: AffineMap | Iterable[AffineMap],
    baseline: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> shap.Explanation:
    """Hand over ``W * x`` with b as base value, or ``W * (x - x0)`` with ``W x0 + b``.

    ``values.sum(axis=1) + base_values`` is F(x), to within the bound of each map. These are no
    Shapley values: they are what the map at x itself says, without sampling.

    Parameters
    ----------
    maps : AffineMap, or several of the same shapes
        N samples.
    baseline : array, optional
        x0, flattened or of the input's shape, the same for all; by default none (zero).
    names : sequence of str, optional
        Of the n_in features.
    labels : sequence of str, optional
        Of the K rows.

    Returns
    -------
    shap.Explanation
        ``values`` (N, n_in, K), ``base_values`` (N, K), ``data`` (N, n_in); the axis of rows is
        left out if K = 1.

    Raises
    ------
    OnnxlinError
        The shap package is not installed.
    InputError
        The baseline does not fit, or there is no map.
    ResidualError
        A sum misses F(x) by more than rounding allows.
    """
    shap = _package()
    listed = [maps] if isinstance(maps, AffineMap) else list(maps)
    if not listed:
        raise InputError("maps holds no map.")
    first = listed[0]
    x0 = np.zeros(len(first.x)) if baseline is None else flat_baseline(first, baseline)
    _require_names("names", names, len(first.x))
    _require_names("labels", labels, len(first.rows))
    values = np.stack([_values(m, x0).T for m in listed])
    base = np.stack([m(x0) for m in listed])
    for m, parts, rest in zip(listed, values, base, strict=True):
        _require_sum(m, parts.T, rest)
    single = values.shape[2] == 1
    return shap.Explanation(
        values=values[:, :, 0] if single else values,
        base_values=base[:, 0] if single else base,
        data=np.stack([m.x for m in listed]),
        feature_names=None if names is None else list(names),
        # A list of one name would be taken for an axis that is not there.
        output_names=None if labels is None else labels[0] if single else list(labels),
    )


def _package() -> Any:
    """Import shap, which is no dependency."""
    try:
        import shap
    except ImportError as error:
        raise OnnxlinError("explanation() needs the shap package: pip install shap.") from error
    return shap


def _require_names(what: str, names: Sequence[str] | None, count: int) -> None:
    if names is not None and not (isinstance(names, Sequence) and len(names) == count):
        raise InputError(f"{what}={names!r}; expected {count} names.")


def _values(m: AffineMap, x0: Array) -> Array:
    found: Array = m.W.astype(np.float64) * (m.x - x0)
    return found


def _require_sum(m: AffineMap, parts: Array, rest: Array) -> None:
    """Raise unless the parts of each row and the rest add up to F(x)."""
    ours = parts.sum(axis=1) + rest
    # Moving W x0 from one side to the other and adding up is rounded in float64.
    moved = np.abs(parts).sum(axis=1) + np.abs(rest) + m.scale
    allowed = m.bound * m.scale + gamma(2 * len(m.x) + 4, UNIT) * moved
    gap = np.abs(m.y - ours)
    if not (gap <= allowed).all():
        row = int(np.argmax(gap - allowed))
        raise ResidualError(
            f"values and base value of row {row} add up to {ours[row]:.9g}, F(x) = "
            f"{m.y[row]:.9g}; they differ by {gap[row]:.3g}, where rounding allows "
            f"{allowed[row]:.3g}. m.verify() says where the map departs."
        )
