"""Outputs that lie at an end of the range of their codes: what is beyond it is cut off, W is 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from onnxlin.graph import Array
from onnxlin.operators.families import SAME_ENTRIES
from onnxlin.operators.quantisation import to_codes
from onnxlin.program import slices
from onnxlin.program.sweep import back
from onnxlin.readings.compare.sides import Side
from onnxlin.rules.quantised.rounding import limits


def pinned(side: Side, outputs: Sequence[int]) -> Array:
    """Which outputs are codes at an end of their range, with a row of 0, read straight through.

    Parameters
    ----------
    side : Side
        A model at x.
    outputs : sequence of int (K,)
        Of all, flattened.

    Returns
    -------
    bool array (K,)
        A code at the end that nothing is cut off from has a row, and is not pinned.
    """
    program, chosen = side.program, np.asarray(outputs, np.int64)
    at_end = np.concatenate(
        [_at_ends(side, n, prod(shape)) for n, shape in program.outputs.items()]
    )[chosen]
    if not at_end.any():
        return at_end
    seeds = np.zeros((len(chosen), program.rows))
    seeds[np.arange(len(chosen)), chosen] = 1
    waiting = {
        name: seeds[:, at].reshape(-1, *program.outputs[name])
        for name, at in slices(program.outputs)
        if name not in program.constants
    }
    for _ in back(program.steps, waiting):
        pass
    rows = [v.reshape(len(v), -1).any(axis=1) for n, v in waiting.items() if n in program.inputs]
    has_row: Array = np.any(rows, axis=0) if rows else np.zeros(len(chosen), bool)
    return at_end & ~has_row


def _at_ends(side: Side, name: str, size: int) -> Array:
    """Entries of an output whose codes are the smallest or the largest of their type."""
    nothing = np.zeros(size, bool)
    while (node := side.section.graph.producer.get(name)) is not None:
        if to_codes(node) is False:
            codes = side.constant(node.inputs[0])
            if codes is None or codes.size != size:
                return nothing
            found: Array = np.isin(codes.ravel().astype(np.float64), limits(codes.dtype))
            return found
        if node.domain or node.op_type not in SAME_ENTRIES:
            return nothing
        name = node.inputs[0]
    return nothing
