"""A linear program swept inside a graph, as `onnxlin.engines` sweep it with NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.compiled.arrivals import Pending
from onnxlin.engines.compiled.formulas import Formulas
from onnxlin.engines.compiled.instance_shares import InstanceShares
from onnxlin.engines.compiled.shares import Shares
from onnxlin.lowering import FEW, Emitter, Laid, Stack, is_traced
from onnxlin.primitives import LinearMap, Shape, weighable
from onnxlin.program import LinearProgram, Step, slices
from onnxlin.program.sweep import back

AnyShares = Shares | InstanceShares

MINUS = np.array(-1.0)


@dataclass(frozen=True, eq=False)
class Swept:
    """What a sweep ends with.

    Parameters
    ----------
    rows : str
        Tensor ``seeds @ W``, (K, n_in), or ``tangents @ W.T``, (K, n_out).
    layout : (merged, rest)
        That tensor's, ``(K * merged, *rest)``.
    nodes : tuple of str
        The nodes that have a share of b.
    shares : str
        Tensor (K, nodes): shares of ``seeds @ b``; "" where no node has any.
    """

    rows: str
    layout: tuple[int, Shape]
    nodes: tuple[str, ...]
    shares: str


def adjoint_sweep(
    graph: Emitter,
    program: LinearProgram,
    seeds: str,
    values: Mapping[str, Any],
    axes: Mapping[str, int] | None = None,
    *,
    flat: bool = True,
) -> Swept:
    """Write the sweep from the outputs to the inputs.

    Parameters
    ----------
    seeds : str
        Tensor (K, rows of the program).
    values : {tensor name: traced array}
        Of the forward pass.
    axes : {tensor name: axis}, optional
        Along which instances lie side by side; the shares then are (K, instances, nodes).
    flat : bool
        Whether rows must be (K, n_in); else they are left as they come where there is one input.
        What a graph lays out last it copies, and whoever reads it need not.
    """
    whole = Stack.of(graph, seeds, (program.rows,))
    waiting: dict[str, Pending] = {}
    shares = Shares(graph) if axes is None else InstanceShares(graph, axes)
    for name, at in slices(program.outputs):
        if at.start == at.stop:
            continue
        part = _cut(whole, at).reshaped(program.outputs[name])
        if name in program.constants:
            shares.add(name, name, part, program.constants[name])
        else:
            waiting.setdefault(name, Pending()).start(part)
    for step, found in back(program.steps, waiting, _take):
        if step.bias is not None and graph.single and _touches(step):
            _touched(shares, step, found.total(), values)
        elif step.bias is not None:
            shares.add(step.node.name, step.output, found.total(), step.bias)
    W = _rows(program, waiting, whole, flat=flat)
    Formulas(graph, {W.name, *shares.biases}).batch()
    return Swept(W.name, W.layout, *(shares.written() if shares else ((), "")))


def _rows(
    program: LinearProgram, waiting: Mapping[str, Pending], seeds: Laid, *, flat: bool
) -> Laid:
    """Put what has arrived at the inputs side by side."""
    graph, width = seeds.emitter, (program.columns,)
    if not flat and len(program.inputs) == 1 and program.columns:
        (name,) = program.inputs
        if name in waiting:
            return waiting[name].total().applied
    rows = [
        waiting[name].total().flat if name in waiting else seeds.zeros(prod(shape))
        for name, shape in program.inputs.items()
    ]
    return Stack.of(graph, graph("Concat", *rows, axis=1) if len(rows) > 1 else rows[0], width)


def _take(waiting: dict[str, Pending], name: str, op: LinearMap, made: Pending) -> None:
    """Send on what has arrived; maps that miss all of it send nothing."""
    there = waiting.get(name, Pending())
    there.take(op, made)
    if not there.empty:
        waiting[name] = there


def _touches(step: Step) -> bool:
    """Whether the bias is what a tangent leaves, large, and not known from fewer products."""
    alone = step.status == "tangent" and is_traced(step.bias) and len(step.terms) == 1
    return alone and prod(step.shape) > FEW


def _touched(shares: AnyShares, step: Step, cotangent: Stack, values: Mapping[str, Any]) -> None:
    """Take what arrives at z away from what arrives at y: ``<g, y> - <J* g, z> = <g, y - J z>``.

    For one row that is less to compute than the bias itself.
    """
    ((name, op),) = step.terms
    back, y, z = op.lower_adjoint(cotangent), weighable(values[step.output]), values[name]
    shares.add(step.node.name, step.output, cotangent, y)
    shares.add(step.node.name, name, back.times(MINUS), weighable(z))


def _cut(seeds: Laid, at: slice) -> Laid:
    """Take some columns of the seeds."""
    if (at.start, at.stop) == (0, seeds.shape[0]):
        return seeds
    graph = seeds.emitter
    places: list[Any] = [[at.start], [at.stop], [1]]
    name = graph("Slice", seeds.name, *(graph.ints(np.asarray(p)) for p in places))
    return Stack.of(graph, name, (at.stop - at.start,))


def tangent_sweep(graph: Emitter, program: LinearProgram, tangents: str) -> Swept:
    """Write the sweep from the inputs to the outputs; nodes have no shares in it.

    Parameters
    ----------
    tangents : str
        Tensor (K, columns of the program).
    """
    whole = Stack.of(graph, tangents, (program.columns,))
    made: dict[str, Stack] = {}
    for name, at in slices(program.inputs):
        made[name] = _cut(whole, at).reshaped(program.inputs[name])
    for step in program.steps:
        for name, op in step.terms:
            if name in made:
                part = op.lower(made[name])
                made[step.output] = made[step.output].plus(part) if step.output in made else part
    rows = [
        made[name].flat if name in made else whole.zeros(prod(shape))
        for name, shape in program.outputs.items()
    ]
    W = graph("Concat", *rows, axis=1) if len(rows) > 1 else rows[0]
    Formulas(graph, {W}).batch()
    return Swept(W, (1, (program.rows,)), (), "")
