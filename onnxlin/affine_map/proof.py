"""The gate: rounding must explain every difference between W x + b and F(x)."""

from __future__ import annotations

import numpy as np

from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.protocol import Readable
from onnxlin.engines.reverse import charge
from onnxlin.errors import ResidualError
from onnxlin.primitives import Array
from onnxlin.program.roundoff import charges, underflow


def bounds(origin: Origin, scale: Array, columns: int) -> Array:
    """What rounding alone may make of the two residuals, times the scale (docs/exactness.md).

    Parameters
    ----------
    origin : Origin
    scale : array (n_rows,)
        See `AffineMap.scale`.
    columns : int
        Of W.

    Returns
    -------
    array (2, n_rows)
        Against onnxruntime, and against the program's own forward pass in float64.
    """
    kinds = [charges(origin.program, origin.values, native=native) for native in (True, False)]
    # Summing W x over the columns is rounded in float64 as well.
    last = columns * np.finfo(np.float64).eps * scale
    last += underflow(origin.program, origin.values)
    return charge(origin.job, *kinds) + last


def verify(m: Readable, tol: float | None) -> None:
    """Raise ResidualError unless all three comparisons hold; see `AffineMap.verify`."""
    found = _worst(m, m.residual, m.bound if tol is None else tol, "onnxruntime")
    found = found or _y_departs(m)
    if m.detached:
        departure = "unknown, since the map was loaded from a file"
    else:
        own = "the program's own forward pass"
        found = found or _worst(m, m.composition_residual, m.composition_bound, own)
        first = m.first_departure()
        found = found or (first and "W x + b is within its bound, but a node is not.")
        departure = first or "none, every node agrees with the run on its own"
    if found:
        raise ResidualError(f"{found} First node that departs: {departure}.")


def _y_departs(m: Readable) -> str | None:
    """Describe a y, from a graph of its own, that is not the model's; each rounds within bound."""
    if m.own_y is m.y:
        return None
    bad = ~(np.abs(m.y - m.own_y) <= 2 * m.bound * m.scale)
    if not bad.any():
        return None
    row = int(np.argmax(bad))
    return (
        f"Row {row}: the graph that W was made by has y = {m.y[row]:.9g}, the model's own run "
        f"{m.own_y[row]:.9g}; rounding allows each of them {(m.bound * m.scale)[row]:.3g}."
    )


def _worst(m: Readable, residual: Array, allowed: Array | float, against: str) -> str | None:
    """Describe the row that is furthest past its bound, if one is; NaN is past any bound."""
    bad = ~(residual <= allowed)
    if not bad.any():
        return None
    limits = np.broadcast_to(allowed, residual.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(bad, np.nan_to_num(residual / limits, nan=np.inf), -1.0)
    row = int(np.argmax(excess))
    ours = m.Wx[row] + m.b[row]
    return (
        f"Row {row}: W x + b = {ours:.9g}, F(x) = {m.own_y[row]:.9g}; the residual "
        f"{residual[row]:.3g} against {against} is past its bound {limits[row]:.3g}."
    )
