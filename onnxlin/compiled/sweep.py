"""A linear program swept inside a graph, as `onnxlin.engines` sweep it with NumPy."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from onnxlin.lowering import Emitter, NotStaticError, Stack, Traced, tensor
from onnxlin.program import LinearProgram, slices


def adjoint_sweep(
    graph: Emitter, program: LinearProgram, seeds: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Write the sweep from the outputs to the inputs.

    Parameters
    ----------
    seeds : str
        Tensor (K, rows of the program).

    Returns
    -------
    rows : {input name: tensor (K, entries of that input)}
        Of ``seeds @ W``.
    shares : {node name: tensor (K, 1)}
        Of ``seeds @ b``.
    """
    waiting: dict[str, Stack] = {}
    shares: dict[str, str] = {}
    for name, at in slices(program.outputs):
        part = _cut(graph, seeds, at, program.rows)
        if name in program.constants:
            column = program.constants[name].reshape(at.stop - at.start, 1)
            shares[name] = graph("MatMul", part, tensor(graph, column, graph.dtype))
        else:
            flat = Stack.of(graph, part, (at.stop - at.start,))
            waiting[name] = flat.reshaped(program.outputs[name])
    for step in reversed(program.steps):
        cotangent = waiting.pop(step.output, None)
        if cotangent is None:
            continue
        share = None if step.bias is None else dot(cotangent, step.bias)
        if share is not None:
            _add(graph, shares, step.node.name, share)
        for name, op in step.terms:
            back = op.lower_adjoint(cotangent)
            waiting[name] = waiting[name].plus(back) if name in waiting else back
    rows = {}
    for name, shape in program.inputs.items():
        found = waiting.get(name)
        any_stack = Stack.of(graph, seeds, (program.rows,))
        rows[name] = any_stack.zeros(prod(shape)) if found is None else found.flat
    return rows, shares


def _cut(graph: Emitter, seeds: str, at: slice, size: int) -> str:
    if (at.start, at.stop) == (0, size):
        return seeds
    return graph("Slice", seeds, *(graph.ints([n]) for n in (at.start, at.stop, 1)))


def _add(graph: Emitter, shares: dict[str, str], node: str, share: str) -> None:
    shares[node] = graph("Add", shares[node], share) if node in shares else share


def dot(cotangent: Stack, bias: Any) -> str | None:
    """``<cotangent, bias>``: a tensor (K, 1); None where the bias is 0."""
    graph = cotangent.emitter
    if not isinstance(bias, Traced):
        if not np.isfinite(bias).all():
            raise NotStaticError("a bias is infinite")
        if not bias.any():
            return None
    rank = len(cotangent.shape)
    shape = (1,) * (rank - bias.ndim) + bias.shape
    # An axis along which the bias repeats is summed first.
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and cotangent.shape[i] != 1)
    summed = cotangent.summed(repeated)
    column = tensor(graph, bias.reshape(prod(shape), 1), graph.dtype)
    return graph("MatMul", summed.flat, column)
