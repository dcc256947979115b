"""Rows of W by adjoint sweeps: no matrix is ever formed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.job import Job, Solution, dot
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import MemoryBudgetError
from onnxlin.primitives import Array, LinearMap, Shape
from onnxlin.program import LinearProgram, Step, slices
from onnxlin.program.sweep import add_to, back

# More rows at once make the products no faster, and fall out of the cache.
MOST_ROWS = 8
# Charges of so many entries are added up in the sweep's own precision, then in float64.
AT_ONCE = 2**15


def reverse(job: Job) -> Solution:
    """Sweep chunks of rows from the outputs to the inputs.

    Raises
    ------
    MemoryBudgetError
        W and a sweep of one row do not fit the budget.
    """
    program, seeds = job.program, job.seeds
    W = np.zeros((len(seeds), program.columns), dtype=program.dtype) if fits(job) else refuse(job)
    bias: dict[str, Array] = {}
    for rows in chunks(job):
        shares: dict[str, Array] = {}
        for step, cotangent in sweep(program, seeds, rows, W[rows]):
            if step.bias is not None:
                add_to(shares, step.node.name, dot(cotangent, step.bias))
        for name, share in (shares | constant_shares(program, seeds, rows)).items():
            bias.setdefault(name, np.zeros(len(seeds)))[rows] += share
        job.report(min(rows.stop, len(seeds)), len(seeds))
    return Solution(W, bias)


def sweep(
    program: LinearProgram, seeds: Seeds, rows: slice, W: Array | None
) -> Iterator[tuple[Step, Array]]:
    """Sweep once; yield every step with the cotangents ``(k, *shape)`` of its output.

    Parameters
    ----------
    W : array (k, columns) or None
        Filled with the rows of W that the sweep ends with.
    """
    dense = seeds.dense(rows, program.dtype)
    waiting: dict[str, Array] = {}
    for name, at in slices(program.outputs):
        waiting[name] = dense[:, at].reshape(len(dense), *program.outputs[name])
    yield from back(program.steps, waiting)
    if W is not None:
        for name, at in slices(program.inputs):
            if name in waiting:
                W[:, at] = waiting[name].reshape(len(dense), at.stop - at.start)


def gradients(program: LinearProgram, cotangents: Mapping[str, Array]) -> Array:
    """Gradients by the inputs of functions of any tensors: ``(k, columns)``.

    Parameters
    ----------
    cotangents : {tensor: array (k, *its shape)}
        Gradients by those tensors.
    """
    waiting = dict(cotangents)
    for _ in back(program.steps, waiting):
        pass
    k = len(next(iter(cotangents.values())))
    found = np.zeros((k, program.columns), program.dtype)
    for name, at in slices(program.inputs):
        if name in waiting:
            found[:, at] = waiting[name].reshape(k, at.stop - at.start)
    return found


def constant_shares(program: LinearProgram, seeds: Seeds, rows: slice) -> dict[str, Array]:
    """Shares of b that outputs bring in which do not depend on the inputs, under their names."""
    dense, shares = seeds.dense(rows, np.dtype(np.float64)), {}
    for name, at in slices(program.outputs):
        if name in program.constants:
            shares[name] = dense[:, at] @ np.ravel(program.constants[name]).astype(np.float64)
    return shares


def charge(job: Job, *errors: Mapping[str, Array]) -> Array:
    """``sum over steps of |G| error``: what local errors can do to each row.

    Parameters
    ----------
    errors : {output name of a step: array of its shape}
        From `onnxlin.program.roundoff.charges`; any number of such, weighed in the same sweep.

    Returns
    -------
    array (len(errors), K)
        Rounded up; infinite where nobody can tell.
    """
    program, total = job.program, np.zeros((len(errors), len(job.seeds)))
    weights = {
        step.output: _columns([error[step.output] for error in errors], step.shape, program.dtype)
        for step in program.steps
    }
    for rows in chunks(job):
        for step, cotangent in sweep(program, job.seeds, rows, None):
            total[:, rows] += _weighed_up(cotangent, weights[step.output]).T
        job.report(min(rows.stop, len(job.seeds)), len(job.seeds))
    return np.nan_to_num(total, nan=np.inf, posinf=np.inf)


def _columns(errors: Sequence[Array], shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Errors side by side, ``(entries, len(errors))``, in a sweep's dtype, not rounded down."""
    columns, known = np.empty((prod(shape), len(errors)), dtype), np.finfo(dtype)
    for i, error in enumerate(errors):
        flat = np.broadcast_to(error, shape).ravel()
        with np.errstate(over="ignore", under="ignore"):
            columns[:, i] = flat * (1 + 2 * float(known.eps))
        # What would be 0, or lose digits as a subnormal number, is replaced by a larger one.
        np.maximum(columns[:, i], known.tiny, out=columns[:, i], where=flat != 0)
    return columns


def _weighed_up(cotangent: Array, columns: Array) -> Array:
    """``|cotangent| @ columns``, rounded up: ``(K, *shape), (entries, n) -> (K, n)`` in float64."""
    flat = cotangent.reshape(len(cotangent), len(columns))
    found, unit = np.zeros((len(flat), columns.shape[1])), float(np.finfo(columns.dtype).eps)
    # In one place for all parts: fresh memory would cost more than the products.
    room = np.empty((len(flat), min(AT_ONCE, len(columns))), columns.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(columns), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            size = np.abs(flat[:, part], out=room[:, : len(columns[part])])
            added = (size @ columns[part]).astype(np.float64)
            found += added * (1 + len(columns[part]) * unit)
    if not np.isfinite(found).all():
        # 0 times infinity is 0: no row is charged for what it does not reach.
        for i in range(columns.shape[1]):
            found[:, i] = dot(np.abs(flat), columns[:, i].astype(np.float64))
    return found


def row_bytes(program: LinearProgram) -> int:
    """Memory that one row of a sweep needs at its widest."""
    alive = {name: prod(shape) for name, shape in program.outputs.items()}
    widest = sum(alive.values())
    for step, own in back(program.steps, alive, _leave_room):
        inside = max((op.workspace for _, op in step.terms), default=0)
        beside = dict(alive)
        for name, op in step.terms:
            # The cotangent that is there, the one added, and their sum.
            beside[name] = op.columns * (1 if name not in beside else 2)
        widest = max(widest, own + sum(beside.values()) + inside)
    return max(widest, program.columns) * program.dtype.itemsize


def _leave_room(alive: dict[str, int], name: str, op: LinearMap, _own: int) -> None:
    alive[name] = op.columns


def chunks(job: Job) -> Iterator[slice]:
    """Cut the rows into chunks that fit the budget beside W."""
    left = job.memory - len(job.seeds) * job.program.columns * job.program.dtype.itemsize
    size = min(max(left // max(row_bytes(job.program), 1), 1), MOST_ROWS)
    return (slice(i, min(i + size, len(job.seeds))) for i in range(0, len(job.seeds), size))


def pull(program: LinearProgram, y: Array) -> Array:
    """Apply the adjoint of the whole map: ``(k, rows) -> (k, columns)``."""
    x = np.zeros((len(y), program.columns), program.dtype)
    for _ in sweep(program, Seeds(program.rows, None, y), slice(None), x):
        pass
    return x


def fits(job: Job) -> bool:
    """Whether W and a sweep of one row fit the budget."""
    return needed(job) <= job.memory


def needed(job: Job) -> int:
    """Bytes of W and of a sweep of one row."""
    W = len(job.seeds) * job.program.columns * job.program.dtype.itemsize
    return W + row_bytes(job.program)


def refuse(job: Job) -> Array:
    """Raise, with the numbers."""
    raise MemoryBudgetError(
        f"W of {len(job.seeds)} x {job.program.columns} {job.program.dtype} and one sweep need "
        f"{needed(job) / 2**20:,.0f} MiB; memory={job.memory / 2**20:,.0f} MiB. Ask for fewer "
        "rows=, raise memory=, or use .operator(), which never forms W."
    )
