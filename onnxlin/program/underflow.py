"""What cotangents that fall below the smallest number may bring into W x + b (docs/exactness.md).

A product of a cotangent and a coefficient is off by the smallest normal number where it falls below
that, and what it should have carried is off by so much of the tensor's value. A product with 0 is
exact. So entries count only that some row reaches: behind a mask lie values of 3e38 with weight 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnxlin.primitives import Array, LinearMap
from onnxlin.program.linear_program import LinearProgram
from onnxlin.program.roundoff import smallest
from onnxlin.program.sweep import back, finite

# So small a part of the outputs need not be looked into.
NOTHING = 2.0**-24


def underflow(program: LinearProgram, values: Mapping[str, Array], size: float = 0.0) -> float:
    """What underflow of cotangents of the map's dtype may bring to any row.

    Parameters
    ----------
    values : {tensor: array}
        The tensors that the cotangents meet.
    size : float, optional
        Of the outputs: what is nothing beside it is not looked into.
    """
    least = smallest(program.dtype)
    cheap = least * (_total(program, values) + len(program.steps))
    if cheap <= NOTHING * size:
        return cheap
    return least * (_total(program, values, reached(program)) + len(program.steps))


def reached(program: LinearProgram) -> list[list[Array]]:
    """Which entries of the tensors that steps read have weight in some row.

    Returns
    -------
    list, for each step a list of arrays of 0 and 1, one for each term
    """
    waiting = {name: np.ones((1, *shape)) for name, shape in program.outputs.items()}
    arrived = {
        step.output: _marked(mark) for step, mark in back(program.steps, waiting, _send_marks)
    }
    return [
        [_through(op, arrived[step.output]) for _, op in step.terms]
        if step.output in arrived
        else [np.zeros(op.in_shape) for _, op in step.terms]
        for step in program.steps
    ]


def _send_marks(waiting: dict[str, Array], name: str, op: LinearMap, mark: Array) -> None:
    found = _through(op, _marked(mark))[None]
    waiting[name] = np.maximum(waiting[name], found) if name in waiting else found


def _through(op: LinearMap, mark: Array) -> Array:
    # NaN of infinite coefficients is something, too.
    found: Array = _marked(op.absolute().rmatvec(mark))[0]
    return found


def _marked(mark: Array) -> Array:
    return (mark != 0).astype(np.float64)


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
    size = np.abs(finite(value.astype(np.float64)))
    # A mask of the lowest float64 adds up to infinity: then it is looked at what is reached.
    with np.errstate(over="ignore"):
        return float(size.sum() if weight is None else (size * weight).sum())
