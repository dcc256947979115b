"""How far apart rounding may put W and b of two models that compute the same function.

The perturbation is that of docs/exactness.md: node i computes with coefficients ``A_i + D_i``,
``|D_i| <= c_i |A_i|``, where c_i is the node's share in the map's own bound. Then, exactly,

    W' - W = sum over i of G_i D_i J_i,

with J_i the map from the inputs to what the node reads, G_i that from its output to the rows. So

    |(W' - W) v| <= sum over i of |G_i| c_i |A_i| |J_i v|

for any direction v, and with the values at x = 0 in the place of ``J_i v`` the same bounds b.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.reverse import chunks, sweep
from onnxlin.primitives import Array, Diagonal
from onnxlin.program import LinearProgram, Step, finite, slices
from onnxlin.program.rates import gamma, smallest, unit_roundoff
from onnxlin.program.roundoff import as_run, local_count
from onnxlin.program.sweep import absolute
from onnxlin.program.sweep import applied as of_terms
from onnxlin.runtime.narrow import computes_wide

# Bytes of the budget for each number that the directions of a pass fill: a tensor, its size, its
# error, and room for a product.
BYTES = 64


def allowed(m: AffineMap, directions: Array) -> tuple[Array, Array]:
    """Bound what rounding may change in ``W v`` and in b.

    Parameters
    ----------
    m : AffineMap
    directions : array (n, n_in)

    Returns
    -------
    (K, n) and (K,), float64
        To first order in the roundings. What a slope of a smooth node moves by the rounding of its
        input is evaluated, at the runtime's own value, not bounded.
    """
    origin = m.made_from("the bound of a comparison")
    size = max(origin.job.memory // (BYTES * max(units(origin.program), 1)), 1)
    cut = range(0, max(len(directions), 1), size)
    parts = [_part(m, directions[i : i + size]) for i in cut]
    return np.concatenate([W for W, _ in parts], axis=1), parts[0][1]


def units(program: LinearProgram) -> int:
    """Entries of all tensors of a program."""
    return sum(prod(step.shape) for step in program.steps)


def _part(m: AffineMap, directions: Array) -> tuple[Array, Array]:
    origin = m.made_from("the bound of a comparison")
    errors = _errors(origin.program, origin.values, directions)
    total = np.zeros((len(m.rows), len(directions) + 1))
    for rows in chunks(origin.job):
        for step, cotangent in sweep(origin.program, origin.job.seeds, rows, None):
            flat = np.abs(cotangent).reshape(len(cotangent), -1).astype(np.float64)
            total[rows] += (errors[step.output].reshape(len(directions) + 1, -1) @ flat.T).T
    total += smallest(origin.program.dtype) * (units(origin.program) + len(m.x))
    return total[:, :-1], total[:, -1]


def _errors(
    program: LinearProgram, values: Mapping[str, Array], directions: Array
) -> dict[str, Array]:
    """``c_i |A_i| |J_i v|`` of every step for every v, and for b last."""
    readers: dict[str, int] = {}
    for step in program.steps:
        for name, _ in step.terms:
            readers[name] = readers.get(name, 0) + 1
    stack = np.concatenate([directions, np.zeros((1, program.columns))])
    tangent = {
        name: stack[:, at].reshape(len(stack), *program.inputs[name])
        for name, at in slices(program.inputs)
    }
    errors = {}
    for step in program.steps:
        made = applied(step, tangent, len(stack))
        unit = unit_roundoff(program.dtype)
        own = _factor(step, values, readers.get(step.output, 0), unit)
        errors[step.output] = own * _sizes(step, tangent, len(stack))
        errors[step.output] += gamma(step.roundings, unit) * _formed(step, values, tangent)
        ran = as_run(step)
        if ran is not step:
            errors[step.output] += np.abs(applied(ran, tangent, len(stack)) - made)
        tangent[step.output] = made
    return errors


def applied(step: Step, tangent: Mapping[str, Array], count: int) -> Array:
    """Apply a piece to stacks; its bias to the last of them alone."""
    total = np.zeros((count, *step.shape))
    total += of_terms(step.terms, tangent)
    if step.bias is not None:
        total[-1] += finite(step.bias.astype(np.float64))
    return total


def _sizes(step: Step, tangent: Mapping[str, Array], count: int) -> Array:
    total = np.zeros((count, *step.shape))
    total += of_terms(absolute(step.terms), tangent, read=np.abs)
    if step.bias_size is not None:
        total[-1] += finite(step.bias_size.astype(np.float64))
    return total


def _formed(step: Step, values: Mapping[str, Array], tangent: Mapping[str, Array]) -> Array | float:
    """What slopes of smooth functions are formed of beside themselves, applied to stacks.

    ``1 - tanh(z)**2`` and its like cancel: their terms are up to ``1 + |z|``.
    """
    if step.status not in ("tangent", "frozen"):
        return 0.0
    smooth = [(name, op) for name, op in step.terms if isinstance(op, Diagonal)]
    parts = [
        Diagonal.of(op.in_shape, 1 + np.abs(finite(values[name].astype(np.float64))))
        .matvec(np.abs(tangent[name]))
        for name, op in smooth
    ]  # fmt: skip
    return sum(parts[1:], start=parts[0]) if parts else 0.0


def _factor(step: Step, values: Mapping[str, Array], readers: int, composing: float) -> float:
    """Relative error of the coefficients of a step: the runtime's, and that of composing."""
    fan = max((max(op.fan_in, op.fan_out) for _, op in step.terms), default=1)
    own = gamma(2 * fan + 2 * step.roundings + readers, composing)
    kinds = [values[name].dtype for name in (*(n for n, _ in step.terms), step.output)]
    coarsest = max(kinds, key=unit_roundoff)
    unit, single = unit_roundoff(coarsest), unit_roundoff(np.dtype(np.float32))
    if unit > single and computes_wide(step.node, coarsest):
        return own + gamma(local_count(step), single) + gamma(2, unit)
    return own + gamma(local_count(step), unit)
