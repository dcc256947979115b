"""Columns of W by tangent sweeps: for maps with many outputs and few inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.job import Job, Solution
from onnxlin.engines.reverse import fits, left, refuse
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram, Step, slices
from onnxlin.program.sweep import applied, forth, spent

MOST_COLUMNS = 64


def forward(job: Job) -> Solution:
    """Sweep chunks of columns from the inputs to the outputs.

    The bias of every node is one more column, which starts at that node: its value at the outputs
    is that node's share of b.
    """
    program, seeds = job.program, job.seeds
    nodes = list(dict.fromkeys(step.node.name for step in program.steps if step.bias is not None))
    origins = len(nodes) + len(program.constants)
    total = program.columns + origins
    a_column = column_bytes(program)
    if not fits(job, a_column):
        refuse(job, a_column)
    W = np.zeros((len(seeds), program.columns), program.dtype)
    bias = {name: np.zeros(len(seeds)) for name in [*nodes, *program.constants]}
    for columns in _chunks(job, total):
        outputs = seeds.apply(_sweep(program, nodes, columns).T)
        inside = range(columns.start, min(columns.stop, program.columns))
        W[:, inside.start : inside.stop] = outputs[:, : len(inside)]
        for i in range(max(columns.start, program.columns), columns.stop):
            bias[list(bias)[i - program.columns]] += outputs[:, i - columns.start]
        job.report(columns.stop, total)
    return Solution(W, bias)


def push(program: LinearProgram, x: Array) -> Array:
    """Apply the whole map without its bias: ``(k, columns) -> (k, rows)``."""
    return program.gathered(tangents(program, x, program.outputs), len(x))


def tangents(
    program: LinearProgram, x: Array, wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """Move the inputs, ``(k, columns)``: how tensors move, ``{tensor: (k, *its shape)}``.

    Parameters
    ----------
    wanted : collection of str, optional
        The tensors to return: the others are let go of on the way. By default all.
    """
    values = {
        name: x[:, at].reshape(len(x), *program.inputs[name]) for name, at in slices(program.inputs)
    }
    return forth(program.steps, values, partial(_moved, len(x), program.dtype), wanted)


def _moved(k: int, dtype: np.dtype[Any], step: Step, values: Mapping[str, Array]) -> Array:
    """Apply the maps of a step: ``(k, *shape)``."""
    total = applied(step.terms, values).astype(dtype, copy=False)
    found: Array = np.broadcast_to(total, (k, *step.shape))
    return found


def _sweep(program: LinearProgram, nodes: list[str], columns: slice) -> Array:
    """Push unit vectors and single biases through: ``(k, rows)``."""
    k = columns.stop - columns.start
    values: dict[str, Array] = {}
    for name, at in slices(program.inputs):
        unit = np.zeros((k, at.stop - at.start), program.dtype)
        inside = np.arange(max(columns.start, at.start), min(columns.stop, at.stop))
        unit[inside - columns.start, inside - at.start] = 1
        values[name] = unit.reshape(k, *program.inputs[name])
    first = program.columns - columns.start
    origin = {name: first + i for i, name in enumerate(nodes)}
    for i, (name, constant) in enumerate(program.constants.items(), first + len(nodes)):
        values[name] = np.zeros((k, *constant.shape), program.dtype)
        if 0 <= i < k:
            values[name][i] = constant

    def make(step: Step, values: Mapping[str, Array]) -> Array:
        """Apply the maps; the bias of a node is added in the one column that starts there."""
        value, own = _moved(k, program.dtype, step, values), origin.get(step.node.name, -1)
        if step.bias is not None and 0 <= own < k:
            value = value.copy()
            value[own] += step.bias
        return value

    return program.gathered(forth(program.steps, values, make, program.outputs), k)


def _chunks(job: Job, total: int) -> Iterator[slice]:
    program = job.program
    size = min(max(left(job) // max(column_bytes(program), 1), 1), MOST_COLUMNS)
    return (slice(i, min(i + size, total)) for i in range(0, total, size))


def estimate(job: Job) -> int:
    """Bytes that `forward` takes in all, with what is there already."""
    program, a_column = job.program, column_bytes(job.program)
    size = min(max(left(job) // max(a_column, 1), 1), MOST_COLUMNS)
    total = program.columns + len(program.steps) + len(program.constants)
    return job.memory - left(job) + min(size, total) * a_column


def column_bytes(program: LinearProgram) -> int:
    """Bytes of all that one column of a sweep holds at its widest."""
    reads = [[step.output, *(name for name, _ in step.terms)] for step in program.steps]
    alive = {name: prod(shape) for name, shape in program.inputs.items()}
    widest = sum(alive.values())
    for step, done in zip(program.steps, spent(reads, program.outputs), strict=True):
        inside = max((op.workspace for _, op in step.terms), default=0)
        # What the maps make, and their sum.
        made = prod(step.shape)
        widest = max(widest, sum(alive.values()) + made * min(len(step.terms), 2) + made + inside)
        alive[step.output] = made
        for name in done:
            alive.pop(name, None)
    return widest * program.dtype.itemsize
