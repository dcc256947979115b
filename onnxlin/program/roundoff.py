"""How far rounding alone may carry W x + b from what onnxruntime computed (docs/exactness.md).

Each node computes ``fl(A z + b) = A z + b + d`` with ``|d| <= gamma(k) (|A| |z| + |b|)``, where k
counts the roundings and ``gamma(k) = k u / (1 - k u)`` (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.1: any order of summation). Under one activation pattern everything
after the node is affine, so the outputs are off by exactly ``sum over nodes of G d``, with G the
map from that node to the outputs: the cotangents of the adjoint sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from onnxlin.graph import is_float
from onnxlin.primitives import Array
from onnxlin.program.linear_program import LinearProgram, Step, finite
from onnxlin.runtime.narrow import computes_wide

# Stands for an infinite error that is carried on.
HUGE = 1e100


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """Half the distance from 1 to the next number; 0 where an integer or captured code is exact."""
    if _is_exact(dtype):
        return 0.0
    # NumPy's finfo does not know bfloat16, which has 8 significant bits.
    return 2.0**-8 if dtype == "bfloat16" else float(np.finfo(dtype).eps) / 2


def smallest(dtype: np.dtype[Any]) -> float:
    """Smallest normal number: below it, roundings are absolute."""
    if _is_exact(dtype):
        return 0.0
    return float(np.finfo(np.float32 if dtype == "bfloat16" else dtype).tiny)


def _is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether tensors of a type hold what straight-through rounding has captured."""
    return not is_float(dtype)


def gamma(count: int, unit: float) -> float:
    """Relative error of ``count`` roundings; infinite once they could cancel everything."""
    return count * unit / (1 - count * unit) if count * unit < 1 else float("inf")


def sizes(step: Step, values: Mapping[str, Array]) -> Array:
    """``|A| |z| + |b|`` of a step at the traced tensors, in float64: ``step.shape``."""
    total = np.zeros(step.shape)
    for name, op in step.terms:
        total += op.absolute().matvec(np.abs(finite(values[name].astype(np.float64)))[None])[0]
    if step.bias_size is not None:
        total += finite(step.bias_size)
    return total


def charges(
    program: LinearProgram, values: Mapping[str, Array], *, native: bool
) -> dict[str, Array]:
    """Largest rounding error that each step may commit on its own.

    Parameters
    ----------
    program : LinearProgram
    values : {tensor name: array}
        The run's tensors.
    native : bool
        True counts the runtime's roundings and those of composing W and b; False only the latter.

    Returns
    -------
    {output name of the step: array of its shape, float64}
    """
    readers = _readers(program)
    composing = unit_roundoff(program.dtype)
    found, bodies = {}, Bodies()
    for step in program.steps:
        # Coefficients are rounded, rows are combined by the adjoint, columns by the map itself.
        fan = max((max(op.fan_in, op.fan_out) for _, op in step.terms), default=1)
        factor = gamma(2 * fan + 2 * step.roundings + readers.get(step.output, 0), composing)
        size = sizes(step, values)
        found[step.output] = factor * size
        if native:
            ran = as_run(step)
            found[step.output] += curvature(step, ran, values)
            size = sizes(ran, values)
            found[step.output] += local_error(step, values, size) + bodies.reach(step, values, size)
    return found


def as_run(step: Step) -> Step:
    """Return the piece at the tensors that the runtime had."""
    if step.twin is None:
        return step
    return replace(step.twin(), inner=step.inner, joins=step.joins)


def curvature(step: Step, ran: Step, values: Mapping[str, Array]) -> Array | float:
    """How far the piece is from that at the runtime's tensors, at these: computed, not bounded."""
    if step is ran:
        return 0.0
    wide = {name: values[name].astype(np.float64) for name, _ in step.terms}
    return np.abs(finite(step(wide)) - finite(ran(wide)))


class Bodies:
    """How far the results of bodies may be from what the nodes themselves computed.

    Inside a body errors are carried forward by ``|A|``. The runtime's own arithmetic for the whole
    node is taken to err no more than the body's, so where the two meet, twice as much is allowed.
    """

    def __init__(self) -> None:
        self._errors: dict[str, Array] = {}

    def reach(self, step: Step, values: Mapping[str, Array], size: Array) -> Array | float:
        """Carry the errors over one step; return what its output may be off beside its own."""
        if not (step.inner or step.joins):
            return 0.0
        carried = np.zeros(step.shape)
        for name, op in (*step.terms, *step.held):
            if name in self._errors:
                # Where gamma is infinite, 0 times it is still 0.
                error = np.minimum(self._errors[name], HUGE)
                carried += op.absolute().matvec(error[None])[0]
        beside = 2 * carried if step.joins else np.zeros(step.shape)
        if step.inner:
            # Where a body inside of a body ends, its error goes on in the outer one.
            error = beside if step.joins else carried
            self._errors[step.output] = error + local_error(step, values, size)
        return beside


def underflow(program: LinearProgram, values: Mapping[str, Array]) -> float:
    """What cotangents that fall below the smallest number of the map's dtype may bring."""
    reach = sum(float(np.abs(finite(values[n].astype(np.float64))).sum()) * op.fan_out
                for step in program.steps for n, op in step.terms)  # fmt: skip
    return smallest(program.dtype) * (reach + len(program.steps))


def local_error(step: Step, values: Mapping[str, Array], size: Array) -> Array:
    """Largest error of the runtime's evaluation of one step, with `sizes` of it."""
    count, result = local_count(step), values[step.output]
    # A cast rounds to the coarser of the two types.
    kinds = [values[name].dtype for name, _ in step.terms] + [result.dtype]
    coarsest = max(kinds, key=unit_roundoff)
    once = np.dtype(np.float32)
    if unit_roundoff(coarsest) <= unit_roundoff(once) or not computes_wide(step.node, coarsest):
        return gamma(count, unit_roundoff(coarsest)) * size + count * smallest(result.dtype)
    # The operands as the node had them may be their float32 forms, before the rounding to the
    # 16 bits that the run shows: the runtime leaves out a cast down and up again.
    ends = size + np.abs(result.astype(np.float64))
    inside = gamma(count, unit_roundoff(once)) * size + count * smallest(once)
    return inside + gamma(1, unit_roundoff(coarsest)) * ends + smallest(result.dtype)


def local_count(step: Step) -> int:
    """Roundings of the runtime in one output of a step."""
    return sum(op.fan_in for _, op in step.terms) + step.roundings


def _readers(program: LinearProgram) -> dict[str, int]:
    counts: dict[str, int] = {}
    for step in program.steps:
        for name, _ in step.terms:
            counts[name] = counts.get(name, 0) + 1
    return counts


def first_departure(program: LinearProgram, values: Mapping[str, Array]) -> str | None:
    """Describe the first node whose piece, at its traced inputs, misses its traced output.

    Every node is compared on its own with its own rounding bound, so errors of earlier nodes
    neither excuse nor accuse later ones.
    """
    bodies = Bodies()
    for step in map(as_run, program.steps):
        wide = {name: values[name].astype(np.float64) for name, _ in step.terms}
        native = values[step.output].astype(np.float64)
        ours = step(wide)
        # Padding that no maximum takes, entries under a mask, the NaN of a row that is masked as a
        # whole: infinities that no output shows are no rounding.
        gap = np.where(np.isfinite(native), np.abs(finite(native) - ours), 0.0)
        size = sizes(step, values)
        coefficients = gamma(2 * step.roundings + 2, unit_roundoff(program.dtype))
        allowed = local_error(step, values, size) + coefficients * size
        allowed += bodies.reach(step, values, size)
        # A NaN that the runtime made and masks later is no value to agree with.
        agrees = (gap <= allowed) | np.isnan(native)
        if not agrees.all():
            excess = np.where(agrees, -np.inf, np.nan_to_num(gap - allowed, nan=np.inf))
            at = np.unravel_index(int(np.argmax(excess)), step.shape)
            index = tuple(int(i) for i in at)
            return (
                f"{step.node.op_type} at node {step.node.name!r}, output {step.output!r}{index}: "
                f"onnxruntime has {native[at]:.9g}, the piece {ours[at]:.9g}, "
                f"apart by {gap[at]:.3g} where rounding allows {allowed[at]:.3g}"
            )
    return None
