"""How far rounding may have carried the tensors of a run, and which units are as near to a kink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.operators.pieces import WINDOWED
from onnxlin.primitives import Array
from onnxlin.program.linear_program import LinearProgram, Step
from onnxlin.program.roundoff import runs
from onnxlin.program.sweep import finite, reach


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
    distance : float
        Of the one nearest to its kink.
    doubt : float
        How far rounding has carried what the node reads.
    """

    step: Step
    count: int
    distance: float
    doubt: float


def near_ties(program: LinearProgram, values: Mapping[str, Array]) -> Iterator[NearTie]:
    """Nodes that have units as near to a kink as rounding has carried what they read, twice over.

    Carried is measured, by the pieces in float64: the bound of it, `carried`, is that of the worst
    case, and behind fifty layers beyond all numbers. A run that rounds otherwise is carried as far,
    so two runs may take different pieces at these units, and nowhere else first. Windows of which
    all is 0, behind rectifiers, are ties in any run: they are left out.
    """
    kinked = [step for step in program.steps if step.margin is not None]
    x = np.concatenate([np.ravel(values[name]).astype(np.float64) for name in program.inputs])
    exact = program.forward(x, {name for step in kinked for name in step.node.inputs})
    for step in kinked:
        assert step.margin is not None
        margin = np.ravel(step.margin()).astype(np.float64)
        margin = margin[margin > 0] if step.node.op_type in WINDOWED else margin
        gaps = [values[n].astype(np.float64) - exact[n] for n in step.node.inputs if n in exact]
        doubt = max((float(np.abs(finite(gap)).max(initial=0)) for gap in gaps), default=0.0)
        near = margin <= 2 * doubt
        if doubt > 0 and near.any():
            yield NearTie(step, int(near.sum()), float(margin.min()), doubt)
