"""The gate: rounding must explain every difference between W x + b and F(x)."""

from __future__ import annotations

import numpy as np

from onnxlin.affine_map.protocol import Readable
from onnxlin.affine_map.verdict import Verdict
from onnxlin.errors import ResidualError, UndecidedError
from onnxlin.primitives import Array


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
    if tol is None and m.verdict is Verdict.UNDECIDED:
        raise UndecidedError(undecided(m))


def undecided(m: Readable) -> str:
    """Say of which rows nothing is proved, and which node is the reason."""
    rows = [i for i, verdict in enumerate(m.verdicts) if verdict is Verdict.UNDECIDED]
    bounds = m.error_bound[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        past = np.nan_to_num(bounds / m.output_size[rows], nan=np.inf)
    row = rows[int(np.argmax(past))]
    because = None if m.detached else m.doubt(row)
    return (
        f"Not decided for {len(rows)} of {len(m.verdicts)} rows. Row {row}: W x + b = "
        f"{m.Wx[row] + m.b[row]:.9g}, F(x) = {m.y[row]:.9g}, where rounding may make "
        f"{m.error_bound[row]:.3g} and outputs are of size {m.output_size[row]:.3g}: that they "
        "agree proves nothing."
        + (f" {because}." if because else "")
        + " Compose with dtype=numpy.float64, or end the map (outputs=) before that node."
    )


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
    limits = np.broadcast_to(allowed, residual.shape)
    # A bound that nobody can tell refuses nothing.
    bad = ~((residual <= limits) | (np.isnan(limits) & ~np.isnan(residual)))
    if not bad.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(bad, np.nan_to_num(residual / limits, nan=np.inf), -1.0)
    row = int(np.argmax(excess))
    ours = m.Wx[row] + m.b[row]
    return (
        f"Row {row}: W x + b = {ours:.9g}, F(x) = {m.own_y[row]:.9g}; the residual "
        f"{residual[row]:.3g} against {against} is past its bound {limits[row]:.3g}."
    )
