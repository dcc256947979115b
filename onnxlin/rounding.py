"""How far rounding alone may carry W x + b from what onnxruntime computed (docs/exactness.md).

Each node computes ``fl(A z + b) = A z + b + d`` with ``|d| <= gamma(k) (|A| |z| + |b|)``, where k
counts the roundings and ``gamma(k) = k u / (1 - k u)`` (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.1: any order of summation). Under one activation pattern everything
after the node is affine, so the outputs are off by exactly ``sum over nodes of G d``, with G the
map from that node to the outputs: the cotangents of the adjoint sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin.primitives import Array
from onnxlin.program import LinearProgram, Step


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """Half the distance from 1 to the next number."""
    # NumPy's finfo does not know bfloat16, which has 8 significant bits.
    return 2.0**-8 if dtype == "bfloat16" else float(np.finfo(dtype).eps) / 2


def smallest(dtype: np.dtype[Any]) -> float:
    """Smallest normal number: below it, roundings are absolute."""
    return float(np.finfo(np.float32 if dtype == "bfloat16" else dtype).tiny)


def gamma(count: int, unit: float) -> float:
    """Relative error of ``count`` roundings; infinite once they could cancel everything."""
    return count * unit / (1 - count * unit) if count * unit < 1 else float("inf")


def sizes(step: Step, values: Mapping[str, Array]) -> Array:
    """``|A| |z| + |b|`` of a step at the traced tensors, in float64: ``step.shape``."""
    total = np.zeros(step.shape)
    for name, op in step.terms:
        total += op.absolute().matvec(np.abs(values[name].astype(np.float64))[None])[0]
    if step.bias_size is not None:
        total += step.bias_size
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
    found = {}
    for step in program.steps:
        # Coefficients are rounded, rows are combined by the adjoint, columns by the map itself.
        fan = max((max(op.fan_in, op.fan_out) for _, op in step.terms), default=1)
        factor = gamma(2 * fan + 2 * step.roundings + readers.get(step.output, 0), composing)
        tiny = 0.0
        if native:
            factor += local_factor(step, values)
            tiny = local_count(step) * smallest(_native(step, values))
        found[step.output] = factor * sizes(step, values) + tiny
    return found


def local_count(step: Step) -> int:
    """Roundings of the runtime in one output of a step."""
    return sum(op.fan_in for _, op in step.terms) + step.roundings


def local_factor(step: Step, values: Mapping[str, Array]) -> float:
    """Relative error of the runtime's evaluation of one step."""
    # A cast rounds to the coarser of the two types.
    kinds = [values[name].dtype for name, _ in step.terms] + [_native(step, values)]
    return gamma(local_count(step), max(unit_roundoff(kind) for kind in kinds))


def _native(step: Step, values: Mapping[str, Array]) -> np.dtype[Any]:
    return values[step.output].dtype


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
    for step in program.steps:
        wide = {name: values[name].astype(np.float64) for name, _ in step.terms}
        native = values[step.output].astype(np.float64)
        ours = step(wide)
        # Equal infinities (padding that no maximum takes) agree; their difference is no number.
        with np.errstate(invalid="ignore"):
            gap = np.where(native == ours, 0.0, np.abs(native - ours))
        tiny = local_count(step) * smallest(_native(step, values))
        coefficients = gamma(2 * step.roundings + 2, unit_roundoff(program.dtype))
        allowed = (local_factor(step, values) + coefficients) * sizes(step, values) + tiny
        if not np.all(gap <= allowed):
            excess = np.where(gap <= allowed, -np.inf, gap - allowed)
            at = np.unravel_index(int(np.argmax(excess)), step.shape)
            index = tuple(int(i) for i in at)
            return (
                f"{step.node.op_type} at node {step.node.name!r}, output {step.output!r}{index}: "
                f"onnxruntime has {native[at]:.9g}, the piece {ours[at]:.9g}, "
                f"apart by {gap[at]:.3g} where rounding allows {allowed[at]:.3g}"
            )
    return None
