"""How large the pieces of a program are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from onnxlin.primitives import Array, LinearMap
from onnxlin.program.linear_program import LinearProgram


def pieces_bytes(program: LinearProgram, others: Iterable[Any]) -> int:
    """Bytes of slopes, masks, indices and biases, each array once.

    Parameters
    ----------
    others : iterable of arrays
        Weights and tensors of the run, of which the pieces may be views: they are not counted.
    """
    seen = {id(_whole(array)) for array in others if isinstance(array, np.ndarray)}
    total = 0
    left: list[Any] = [
        part
        for step in program.steps
        for part in (*(op for _, op in step.terms), step.bias, step.bias_size, step.still)
    ]
    while left:
        part = left.pop()
        if isinstance(part, LinearMap):
            left += vars(part).values()
        elif isinstance(part, list | tuple):
            left += part
        elif isinstance(part, np.ndarray):
            whole = _whole(part)
            if id(whole) not in seen:
                seen.add(id(whole))
                total += whole.nbytes
    return total


def _whole(array: Array) -> Array:
    """The array that holds the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
