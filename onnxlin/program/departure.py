"""The first node whose piece, on its own, is further from the run than rounding carries it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat

import numpy as np

from onnxlin.primitives import Array
from onnxlin.program.linear_program import LinearProgram
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.program.roundoff import Ran, runs
from onnxlin.program.sizes import piece
from onnxlin.program.sweep import finite

# Entries that are compared at once.
AT_ONCE = 2**16


def first_departure(program: LinearProgram, values: Mapping[str, Array]) -> str | None:
    """Describe the first node whose piece, at the run's inputs to it, misses the run's output.

    Every node is compared on its own with its own rounding bound, so errors of earlier nodes
    neither excuse nor accuse later ones.
    """
    unit = unit_roundoff(program.dtype)
    # Of each node what was made is let go of before the next: nothing here keeps a name for it.
    found = map(_departure, runs(program.steps, values), repeat(values), repeat(unit))
    return next(filter(None, found), None)


def _departure(ran: Ran, values: Mapping[str, Array], unit: float) -> str | None:
    """Describe the entry of a node that is furthest past its bound; None if none is past it."""
    step = ran.piece
    ours = piece(step, values)
    each = [values[step.output], ours, ran.error, ran.size]
    each = [part.reshape(-1) for part in each]
    coefficients = gamma(2 * step.roundings + 2, unit)
    worst, at = 0.0, -1
    for start in range(0, ours.size, AT_ONCE):
        excess = _excess(coefficients, *(part[start : start + AT_ONCE] for part in each))
        largest = int(np.argmax(excess))
        if excess[largest] > worst:
            worst, at = float(excess[largest]), start + largest
    if at < 0:
        return None
    native, own, error, size = (part[at] for part in each)
    index = tuple(int(i) for i in np.unravel_index(at, step.shape))
    return (
        f"{step.node.op_type} at node {step.node.name!r}, output {step.output!r}{index}: "
        f"onnxruntime has {float(native):.9g}, the piece {own:.9g}, apart by "
        f"{_gap(native, own):.3g} where rounding allows {error + coefficients * size:.3g}"
    )


def _gap(native: Array, ours: Array) -> Array:
    """How far the piece is from the run.

    Padding that no maximum takes, entries under a mask, the NaN of a row that is masked as a whole:
    infinities that no output shows are no rounding.
    """
    wide = native.astype(np.float64)
    found: Array = np.where(np.isfinite(wide), np.abs(finite(wide) - ours), 0.0)
    return found


def _excess(coefficients: float, native: Array, ours: Array, error: Array, size: Array) -> Array:
    """By how much entries ``(n,)`` of a piece are further from the run than rounding allows.

    Not positive where they agree; infinite where the piece is not finite.
    """
    gap = _gap(native, ours)
    # What nobody can tell allows everything: it proves nothing, and accuses nobody.
    allowed = np.nan_to_num(error + coefficients * size, nan=np.inf, posinf=np.inf)
    # A NaN that the runtime made and masks later is no value to agree with.
    agrees = (gap <= allowed) | np.isnan(native.astype(np.float64))
    with np.errstate(invalid="ignore"):
        excess = np.nan_to_num(gap - allowed, nan=np.inf, posinf=np.inf)
    return np.where(agrees, 0.0, np.maximum(excess, np.finfo(np.float64).tiny))
