"""Rows of W by adjoint sweeps: no matrix is ever formed."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.job import Job, Solution, dot
from onnxlin.engines.memory import enough, mib, or_save
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import MemoryBudgetError
from onnxlin.primitives import Array, Shape
from onnxlin.program import LinearProgram, Step, slices
from onnxlin.program.sweep import add_to, back

# More rows at once make the products no faster, and fall out of the cache; but of tensors that are
# so small that many rows of them are within it, each step costs more than its products.
MOST_ROWS, MOST_SMALL, CACHE = 8, 64, 2**20
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
    some, shares = seeds.part(rows), {}
    for name, at in slices(program.outputs):
        if name in program.constants:
            y = np.zeros(seeds.size)
            y[at] = np.ravel(program.constants[name])
            shares[name] = some.apply(y)
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
    return charge_each(job, lambda step: [error[step.output] for error in errors], len(errors))


def charge_each(job: Job, errors: Callable[[Step], Sequence[Array]], count: int) -> Array:
    """`charge` by errors that are made step by step, and kept only if they are asked for again.

    Parameters
    ----------
    errors : callable
        Makes so many arrays as ``count`` says, of a step's shape.
    """
    total, dtype = np.zeros((count, len(job.seeds))), job.program.dtype
    columns = kept(
        job, lambda step: _columns(errors(step), step.shape, dtype), count * dtype.itemsize
    )
    for rows in chunks(job):
        for step, cotangent in sweep(job.program, job.seeds, rows, None):
            total[:, rows] += _weighed_up(cotangent, columns(step)).T
        job.report(min(rows.stop, len(job.seeds)), len(job.seeds))
    return np.nan_to_num(total, nan=np.inf, posinf=np.inf)


def kept(job: Job, make: Callable[[Step], Array], size: int) -> Callable[[Step], Array]:
    """Return ``make``; what it makes is kept where sweeps of more rows ask again, and it fits.

    Parameters
    ----------
    make : callable
        Makes an array of a step.
    size : int
        Bytes of that for each entry of the step.
    """
    every = size * sum(prod(step.shape) for step in job.program.steps)
    if len(list(chunks(job))) <= 1 or every > spare(job):
        return make
    found: dict[str, Array] = {}

    def remembered(step: Step) -> Array:
        if step.output not in found:
            found[step.output] = make(step)
        return found[step.output]

    return remembered


def _columns(errors: Sequence[Array], shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Errors side by side, ``(entries, n)``, in a sweep's dtype, not rounded down."""
    columns = np.empty((prod(shape), len(errors)), dtype)
    for i, error in enumerate(errors):
        flat = np.broadcast_to(error, shape).reshape(-1)
        for start in range(0, len(flat), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            columns[part, i] = risen(flat[part], dtype)
    return columns


def risen(error: Array, dtype: np.dtype[Any]) -> Array:
    """Errors, which are not negative, in a sweep's dtype, not rounded down."""
    known = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        found: Array = np.asarray(error * (1 + 2 * float(known.eps)), dtype)
    # What would be 0, or lose digits as a subnormal number, is replaced by a larger one.
    np.maximum(found, known.tiny, out=found, where=error != 0)
    return found


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


def spare(job: Job) -> int:
    """Bytes that the budget leaves beside W, all that is there already, and sweeps of some rows."""
    return max(left(job) - MOST_ROWS * job.a_row, 0)


def left(job: Job) -> int:
    """Bytes that the budget leaves beside W and all that is there already; negative if none."""
    W = len(job.seeds) * line(job)
    return job.memory - job.held - (0 if job.stored else W)


def line(job: Job) -> int:
    """Bytes of a row of W."""
    return job.program.columns * job.program.dtype.itemsize


def at_once(job: Job) -> int:
    """Rows of a sweep that fit the budget beside W; at least one."""
    most = MOST_SMALL if job.sweep(MOST_SMALL) <= CACHE else MOST_ROWS
    return max(bisect(range(1, most + 1), left(job), key=job.sweep), 1)


def estimate(job: Job) -> int:
    """Bytes that `reverse` takes in all, with what is there already."""
    return needed(job, job.sweep(min(at_once(job), max(len(job.seeds), 1))))


def chunks(job: Job) -> Iterator[slice]:
    """Cut the rows into chunks that fit the budget beside W."""
    size = at_once(job)
    return (slice(i, min(i + size, len(job.seeds))) for i in range(0, len(job.seeds), size))


def pull(program: LinearProgram, y: Array) -> Array:
    """Apply the adjoint of the whole map: ``(k, rows) -> (k, columns)``."""
    x = np.zeros((len(y), program.columns), program.dtype)
    for _ in sweep(program, Seeds(program.rows, None, y), slice(None), x):
        pass
    return x


def fits(job: Job, one: int | None = None) -> bool:
    """Whether W and a sweep of one row, or of what takes so many bytes, fit the budget."""
    return needed(job, one) <= job.memory


def needed(job: Job, one: int | None = None) -> int:
    """Bytes of all that is there already, of W, and of a sweep of one row."""
    return job.memory - left(job) + (job.a_row if one is None else one)


def refuse(job: Job, one: int | None = None) -> Array:
    """Raise, with the numbers."""
    program, need, one = job.program, needed(job, one), job.a_row if one is None else one
    raise MemoryBudgetError(
        f"W of {len(job.seeds)} x {program.columns} {program.dtype} and one sweep need "
        f"{mib(need)} ({mib(job.held)} for the model, the tensors of its run and their pieces, "
        f"{mib(need - job.held - one)} for W, {mib(one)} for a sweep); "
        f"memory={mib(job.memory)}. Ask for fewer rows=, raise memory= to {enough(need)}, "
        f"{or_save(job.held + line(job) + one, job.memory)}or use .operator(), which "
        "never forms W.",
        need,
    )
