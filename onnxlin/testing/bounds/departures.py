"""Which node is to blame where two ways of composing the same pieces differ."""

from __future__ import annotations

import numpy as np

from onnxlin.graph import Array
from onnxlin.primitives import LinearMap
from onnxlin.program import LinearProgram, Step
from onnxlin.program.rates import gamma

EPS = float(np.finfo(np.float64).eps)
# Entries of a matrix that is made only to be compared.
MOST_ENTRIES = 5_000_000


def inconsistent(program: LinearProgram) -> str | None:
    """Name the first node whose map and adjoint, or map and matrix, are not of one matrix."""
    rng = np.random.default_rng(0)
    for step in program.steps:
        for name, op in step.terms:
            if why := _views_differ(op, rng):
                return f"{described(step)}, of {name!r}: {why}"
    return None


def described(step: Step) -> str:
    """Operator, node and output of a step."""
    return f"{step.node.op_type} at node {step.node.name!r}, output {step.output!r}"


def _views_differ(op: LinearMap, rng: np.random.Generator) -> str | None:
    """Say which two views of a map differ, by one random vector each; None if none do."""
    x, y = rng.standard_normal((1, *op.in_shape)), rng.standard_normal((1, *op.out_shape))
    there, back = op.matvec(x), op.rmatvec(y)
    reach = op.absolute().matvec(np.abs(x))
    roundings = 2 * (op.fan_in + op.fan_out) + 4
    left, right = float(np.vdot(y, there)), float(np.vdot(back, x))
    size = float(np.vdot(np.abs(y), reach))
    if abs(left - right) > gamma(roundings + op.rows + op.columns, EPS) * size:
        return f"<y, A x> = {left:.9g} by the map, {right:.9g} by its adjoint"
    if op.nnz <= MOST_ENTRIES:
        by_matrix = (op.to_sparse(np.dtype(np.float64)) @ x.ravel()).reshape(there.shape)
        gap: Array = np.abs(by_matrix - there)
        if (gap > gamma(roundings, EPS) * reach).any():
            return "the map and its matrix differ"
    return None
