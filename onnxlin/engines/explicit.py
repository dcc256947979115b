"""Products of `scipy.sparse` matrices: the reference that everything else is held to."""

from __future__ import annotations

from math import prod

import numpy as np
import scipy.sparse as sp

from onnxlin.engines.job import Job, Solution, weigh
from onnxlin.engines.memory import enough, mib, or_save
from onnxlin.engines.reverse import constant_shares
from onnxlin.errors import MemoryBudgetError
from onnxlin.primitives import Array, LinearMap
from onnxlin.program import LinearProgram, slices
from onnxlin.program.sweep import add_to, back

Matrix = Array | sp.csr_array

# While a matrix of 64-bit coordinates and values is sorted into rows, about two copies exist.
BYTES_AN_ENTRY = 2 * (8 + 8 + 8)


def explicit(job: Job) -> Solution:
    """Multiply the matrices of the steps together, from the outputs to the inputs.

    Raises
    ------
    MemoryBudgetError
        The estimate from the entries of the matrices is past the budget.
    """
    program, seeds = job.program, job.seeds
    if job.held + estimate(program, len(seeds)) > job.memory:
        raise MemoryBudgetError(_refusal(job))
    dense = seeds.dense(slice(None), program.dtype)
    waiting: dict[str, Matrix] = {}
    for name, at in slices(program.outputs):
        waiting[name] = sp.csr_array(dense[:, at])
    bias: dict[str, Array] = {}

    def multiply(waiting: dict[str, Matrix], name: str, op: LinearMap, rows: Matrix) -> None:
        add_to(waiting, name, _dense_if_full(rows @ op.to_sparse(program.dtype)))

    for done, (step, rows) in enumerate(back(program.steps, waiting, multiply)):
        job.report(done, len(program.steps))
        if step.bias is not None:
            flat = np.broadcast_to(step.bias, step.shape).reshape(prod(step.shape))
            add_to(bias, step.node.name, weigh(rows, flat.astype(np.float64)))
    job.report(len(program.steps), len(program.steps))
    W = np.zeros((len(seeds), program.columns), program.dtype)
    for name, at in slices(program.inputs):
        if name in waiting:
            found = waiting[name]
            W[:, at] = found if isinstance(found, np.ndarray) else found.toarray()
    return Solution(W, bias | constant_shares(program, seeds, slice(None)))


def _dense_if_full(matrix: Matrix) -> Matrix:
    """Keep a product sparse only while that is smaller."""
    if isinstance(matrix, np.ndarray) or matrix.nnz * 4 < prod(matrix.shape):
        return matrix
    return matrix.toarray()


def estimate(program: LinearProgram, rows: int) -> int:
    """Bytes at the widest point: one matrix while it is made, and the rows on both sides."""
    largest = max((op.nnz for step in program.steps for _, op in step.terms), default=0)
    widest = max((prod(step.shape) for step in program.steps), default=0)
    beside = 3 * rows * max(widest, program.columns) * program.dtype.itemsize
    return largest * BYTES_AN_ENTRY + beside + rows * program.columns * program.dtype.itemsize


def _refusal(job: Job) -> str:
    need = job.held + estimate(job.program, len(job.seeds))
    save = or_save(job.held + estimate(job.program, 1), job.memory)
    return (
        f"engine='explicit' would need about {mib(need)} (matrices of "
        f"{job.program.nnz:,} entries in {len(job.program.steps)} nodes, {len(job.seeds)} rows of "
        f"{job.program.columns:,}); memory={mib(job.memory)}. Use engine='reverse', "
        f"ask for fewer rows=, {save}or raise memory= to {enough(need)}."
    )
