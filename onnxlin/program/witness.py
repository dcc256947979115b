"""What rounding made of this very run: a witness beside the bounds (docs/exactness.md).

Each node's own error ``d``, the run's tensor less what the piece makes of the run's tensors in
float64, is a number, not a bound. Pushed through the pieces they arrive at the outputs as ``sum
over nodes of G d``, which is by how much the run is off the pieces composed exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxlin.primitives import Array
from onnxlin.program.linear_program import LinearProgram, Step
from onnxlin.program.roundoff import curvature, runs
from onnxlin.program.sizes import piece
from onnxlin.program.sweep import applied, finite, forth


def made_by_rounding(program: LinearProgram, values: Mapping[str, Array]) -> Array:
    """By how much the run's outputs are off the pieces composed exactly: ``(rows,)``, signed.

    No node is excused for more than its rounding: of one that departs by more, so much counts.

    Parameters
    ----------
    values : {tensor: array}
        The run's tensors.
    """
    ran = runs(program.steps, values)

    def erring(step: Step, errors: Mapping[str, Array]) -> Array:
        own = next(ran)
        native = values[step.output].astype(np.float64)
        made = np.where(np.isfinite(native), native - piece(step, values), 0.0)
        allowed = np.nan_to_num(
            own.error + curvature(step, own.piece, values), nan=np.inf, posinf=np.inf
        )
        made = np.clip(finite(made), -allowed, allowed)
        return made[None] + applied(step.terms, errors, read=finite)

    start = {name: np.zeros((1, *shape)) for name, shape in program.inputs.items()}
    with np.errstate(over="ignore", invalid="ignore"):
        errors = forth(program.steps, start, erring, program.outputs)
    found: Array = program.gathered(errors)[0]
    return found
