"""What adds up to a tensor, ``|A| |z| + |b|``: all that roundings at a step are relative to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from math import prod
from typing import Any, final
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Array, coefficients
from onnxlin.program.linear_program import Step
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.program.sweep import finite, reach

# Coefficients for each output, from which on what a step makes is kept: two float64 of each.
MANY = 4


@final
class Measured(dict[str, Array]):
    """Tensors of a run, {name: array}, that keep what costly steps make of them.

    Bounds, the search for a node that departs and laws ask for the same `sizes` and values one
    after the other, and with a large matrix each takes as long as its product. Kept is what steps
    make that have many more coefficients than outputs: no more memory than these take in float32.
    It lives as long as the run and the step.
    """

    def __init__(self, values: Mapping[str, Array]) -> None:
        super().__init__(values)
        self._sizes: WeakKeyDictionary[Step, Array] = WeakKeyDictionary()
        self._pieces: WeakKeyDictionary[Step, Array] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the tensors alone."""
        return Measured, (dict(self),)

    def sizes(self, step: Step) -> Array:
        """`sizes` of a step, not to be written into."""
        return _kept(self._sizes, step, self, _sizes)

    def piece(self, step: Step) -> Array:
        """`piece` of a step, not to be written into."""
        return _kept(self._pieces, step, self, _piece)


def _kept(
    known: MutableMapping[Step, Array],
    step: Step,
    values: Measured,
    make: Callable[[Step, Measured], Array],
) -> Array:
    found = known.get(step)
    if found is None:
        found = np.asarray(make(step, values))  # of no axes it may come as a scalar
        if is_kept(step):
            found.flags.writeable = False
            known[step] = found
    return found


def is_kept(step: Step) -> bool:
    """Whether what a step makes is kept: it has many more coefficients than outputs."""
    parts = (part for _, op in step.terms for part in coefficients(op))
    held = (part.size for part in parts if isinstance(part, np.ndarray | sp.csr_array))
    return sum(held) > MANY * prod(step.shape)


def sizes(step: Step, values: Mapping[str, Array]) -> Array:
    """``|A| |z| + |b|`` of a step at the run's tensors, in float64: ``step.shape``."""
    return values.sizes(step) if isinstance(values, Measured) else _sizes(step, values)


def piece(step: Step, values: Mapping[str, Array]) -> Array:
    """What a step makes of the run's tensors, in float64: ``step.shape``."""
    return values.piece(step) if isinstance(values, Measured) else _piece(step, values)


def _piece(step: Step, values: Mapping[str, Array]) -> Array:
    return step({name: values[name].astype(np.float64) for name, _ in step.terms})


def _sizes(step: Step, values: Mapping[str, Array]) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        total = reach(step.terms, values, step.shape, read=_narrow)
        if total.dtype == np.float32:
            # Sums of what is not negative, so the relative error of any order is known.
            adds = sum(op.fan_in for _, op in step.terms) + 4
            total = total.astype(np.float64)
            total *= 1 + gamma(adds, unit_roundoff(np.dtype("f4")))
            if not np.isfinite(total).all():  # above the largest number of float32, or uncountable
                total = reach(step.terms, values, step.shape, read=absolute_value)
    return total if step.bias_size is None else total + finite(step.bias_size)


def _narrow(value: Array) -> Array:
    """Sizes in the tensor's own precision, where NumPy has that."""
    return (
        np.abs(finite(value)) if value.dtype in (np.float32, np.float64) else absolute_value(value)
    )


def absolute_value(value: Array) -> Array:
    """Sizes of a tensor in float64; 0 where it is infinite."""
    return np.abs(finite(value.astype(np.float64)))
