"""What cotangents that fall below the smallest number may bring into W x + b (docs/exactness.md).

A product of a cotangent and a coefficient is off by the smallest normal number where it falls below
that, and what it should have carried is off by so much of the tensor's value. A product with 0 is
exact. So entries count only that some row reaches: behind a mask lie values of 3e38 with weight 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnxlin.primitives import Array, LinearMap
from onnxlin.primitives.reaching import reached_back
from onnxlin.program.linear_program import LinearProgram
from onnxlin.program.rates import smallest
from onnxlin.program.sweep import back, finite

# So small a part of the outputs need not be looked into.
NOTHING = 2.0**-24
# Matrices of more entries are taken for full. What lies behind a mask lies there as a whole, so
# nothing is lost but for columns of zeros; products with them would take as long as a sweep.
LARGE = 2**16


def underflow(program: LinearProgram, values: Mapping[str, Array], size: float = 0.0) -> float:
    """What underflow of cotangents of the map's dtype may bring to any row.

    Parameters
    ----------
    values : {tensor: array}
        The tensors that the cotangents meet.
    size : float, optional
        Of the outputs: what is nothing beside it is not looked into.
    """
    return underflows(program, [values], size)[0]


def underflows(
    program: LinearProgram, points: Sequence[Mapping[str, Array]], size: float = 0.0
) -> list[float]:
    """`underflow` at several points, which is looked into once for all of them."""
    least, steps = smallest(program.dtype), len(program.steps)
    found = [least * (_total(program, values) + steps) for values in points]
    if all(each <= NOTHING * size for each in found):
        return found
    weights = reached(program)
    return [least * (_total(program, values, weights) + steps) for values in points]


def reached(program: LinearProgram) -> list[list[Array]]:
    """Which entries of the tensors that steps read have weight in some row.

    Returns
    -------
    list, for each step a list of bool arrays, one for each term
    """
    waiting = {name: np.ones(shape, bool) for name, shape in program.outputs.items()}
    found: dict[str, list[Array]] = {}
    parts: list[Array] = []

    def send(waiting: dict[str, Array], name: str, op: LinearMap, mark: Array) -> None:
        # NaN of infinite coefficients is something, too.
        parts.append(reached_back(op, mark, LARGE))
        waiting[name] = waiting[name] | parts[-1] if name in waiting else parts[-1]

    for step, _ in back(program.steps, waiting, send):
        # The terms of this step are sent next.
        parts = found[step.output] = []
    nowhere = np.zeros((), bool)
    return [found.get(step.output, [nowhere] * len(step.terms)) for step in program.steps]


def _total(
    program: LinearProgram,
    values: Mapping[str, Array],
    weights: Sequence[Sequence[Array]] | None = None,
) -> float:
    """Sum of the sizes of all entries read, each as often as it is read."""
    total = 0.0
    for i, step in enumerate(program.steps):
        for j, (name, op) in enumerate(step.terms):
            size = _size_of(values[name], None if weights is None else weights[i][j])
            total += size * op.fan_out
    return total


def _size_of(value: Array, weight: Array | None) -> float:
    wide = value if value.dtype in (np.float32, np.float64) else value.astype(np.float64)
    size = np.abs(finite(wide))
    # A mask of the lowest float64 adds up to infinity: then it is looked at what is reached.
    with np.errstate(over="ignore"):
        if weight is None or weight.all():
            return float(size.sum(dtype=np.float64))
        return float(size.sum(dtype=np.float64, where=weight))
