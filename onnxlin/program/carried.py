"""How far rounding may have carried the tensors of a run, and which units are as near to a kink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.primitives import Array, Shape
from onnxlin.program.linear_program import LinearProgram, Step
from onnxlin.program.roundoff import runs
from onnxlin.program.sweep import reach


def carried(program: LinearProgram, values: Mapping[str, Array]) -> dict[str, Array]:
    """How far rounding may have carried every tensor of a run from what the pieces give exactly.

    A running error bound: the error of each node on its own, and that of its inputs through
    ``|A|`` (Higham, section 3.3).
    """
    errors = {name: np.zeros(shape) for name, shape in program.inputs.items()}
    for ran in runs(program.steps, values):
        step = ran.piece
        errors[step.output] = ran.error + reach(step.terms, errors, step.shape)
    return errors


@dataclass(frozen=True, eq=False)
class NearTie:
    """A node with units whose side of a kink rounding decides.

    Parameters
    ----------
    step : Step
    count : int
        Of its units.
    distance, doubt : float
        Of the one nearest to its kink for what rounding may carry it: how near, and how far that.
    """

    step: Step
    count: int
    distance: float
    doubt: float


def near_ties(program: LinearProgram, values: Mapping[str, Array]) -> Iterator[NearTie]:
    """Nodes that have units no further from a kink than rounding may have carried what they read.

    Two runs that round apart may take another piece at them, and nowhere else first.
    """
    errors = carried(program, values)
    for step in program.steps:
        if step.margin is None:
            continue
        margin = np.asarray(step.margin(), np.float64)
        # Two runs err, and in a window two rivals.
        doubt = 2 * _doubt(step, errors, margin.shape)
        near = (margin <= doubt) & (doubt > 0)
        if near.any():
            excess = np.where(near, margin / np.where(doubt > 0, doubt, 1), np.inf)
            at = np.unravel_index(int(np.argmin(excess)), margin.shape)
            room = np.broadcast_to(doubt, margin.shape)
            yield NearTie(step, int(near.sum()), float(margin[at]), float(room[at]))


def _doubt(step: Step, errors: Mapping[str, Array], shape: Shape) -> Array:
    """Entry by entry where every operand has a unit each, or else the largest."""
    found = [errors[name] for name in step.node.inputs if name in errors]
    if found and all(error.shape == shape for error in found):
        return np.max(found, axis=0)
    most = max((float(error.max(initial=0)) for error in found), default=0.0)
    return np.asarray(2 * most)
