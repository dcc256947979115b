"""What independent roundings make of every row at once: noise pushed forward, not rows swept back.

Noise ``d`` of given standard deviations at the output of every step arrives at the rows as ``sum
over steps of G d``. Normal noise arrives normally distributed, with the variance ``sum over steps
of G^2 deviation^2``, and a few draws tell that variance of all rows: for many rows far less work
than a sweep for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from onnxlin.engines.job import Job
from onnxlin.engines.reverse import AT_ONCE, MOST_ROWS, charging, chunks, kept, left, sweep
from onnxlin.primitives import Array, Shape
from onnxlin.program import LinearProgram, Step
from onnxlin.program.sweep import absolute, applied, forth

# Of 16 normal draws the mean square is below the 36th part of the variance once in a thousand
# million times: P(chi^2 of n < n / t) <= (e^(1 - 1/t) / t)^(n/2), which is 9e-10.
DRAWS, FACTOR = 16, 6.0
# Where the largest deviation is put, so that the smallest stay normal numbers of float32.
LARGEST = 1e30
SEED = 0


def deviations_of_rows(job: Job, deviations: Mapping[str, Array]) -> Array:
    """Root of ``sum over steps of G^2 deviation^2``, an upper bound of it but for rare bad luck.

    Parameters
    ----------
    deviations : {output name of a step: array of its shape}
        Or of an input; inputs that are not there have none.

    Returns
    -------
    array (K,), float64
        `FACTOR` times the root mean square of the draws; infinite where nobody can tell.
    """
    program, rng = job.program, np.random.default_rng(SEED)
    known = {name: np.isfinite(each) for name, each in deviations.items()}
    largest = max(
        (float(np.max(each, initial=0.0, where=known[n])) for n, each in deviations.items()),
        default=0.0,
    )
    scale = 2.0 ** np.floor(np.log2(LARGEST / largest)) if largest else 1.0
    found = np.zeros(len(job.seeds))
    for draws in _chunks(job):
        for arrived in _pushed(program, deviations, scale, rng, len(draws)):
            with np.errstate(over="ignore", invalid="ignore"):
                found += (job.seeds.apply(arrived) / scale) ** 2
        job.report(draws.stop, DRAWS)
    found = FACTOR * np.sqrt(found / DRAWS)
    if not all(each.all() for each in known.values()):
        found[_reached_by(job, known)] = np.inf
    return np.nan_to_num(found, nan=np.inf, posinf=np.inf)


def deviations_by_sweeps(job: Job, deviation: Callable[[Step], Array]) -> Array:
    """The same without draws, exactly, by a sweep for every row: ``(K,)``.

    Parameters
    ----------
    deviation : callable
        Makes the deviations of a step, an array of its shape.
    """
    found, made = np.zeros(len(job.seeds)), kept(job, deviation, 8)
    for rows in chunks(job):
        for step, cotangent in sweep(job.program, job.seeds, rows, None):
            found[rows] += squares(cotangent, made(step))
    return rooted(found)


def weighed_by_sweeps(
    job: Job,
    errors: Callable[[Step], Sequence[Array]],
    deviations: Callable[[Step], Sequence[Array]],
    count: int,
) -> tuple[Array, Array]:
    """`charge_each` and `deviations_by_sweeps` in the same sweeps.

    Parameters
    ----------
    errors, deviations : callable
        Each makes so many arrays as ``count`` says, of a step's shape.

    Returns
    -------
    array (count, K), array (count, K)
    """
    total, found = np.zeros((2, count, len(job.seeds)))
    made = kept(job, lambda step: np.stack(deviations(step)), 8 * count)
    for rows, step, cotangent, charged in charging(job, errors, count):
        total[:, rows] += charged
        found[:, rows] += [squares(cotangent, deviation) for deviation in made(step)]
    return np.nan_to_num(total, nan=np.inf, posinf=np.inf), rooted(found)


def rooted(squares: Array) -> Array:
    """Root of sums of `squares`; infinite where nobody can tell."""
    found: Array = np.sqrt(np.nan_to_num(squares, nan=np.inf, posinf=np.inf))
    return found


def squares(cotangent: Array, deviation: Array) -> Array:
    """``cotangent^2 @ deviation^2`` in float64, where 0 times infinity is 0.

    ``(k, *shape), shape -> (k,)``
    """
    flat, deviation = cotangent.reshape(len(cotangent), -1), deviation.reshape(-1)
    found = np.zeros(len(flat))
    # In one place for all parts: fresh memory would cost more than the products.
    room = np.empty((len(flat), min(AT_ONCE, len(deviation))))
    for start in range(0, len(deviation), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        own = deviation[part]
        with np.errstate(over="ignore", invalid="ignore"):
            size = room[:, : len(own)]
            np.multiply(flat[:, part], own, out=size, dtype=np.float64)
            added = np.einsum("kn,kn->k", size, size)
            if not np.isfinite(added).all():
                some = flat[:, part].astype(np.float64)
                added = (np.where(some == 0, 0.0, some * own) ** 2).sum(axis=1)
            found += added
    return found


def _chunks(job: Job) -> Iterator[range]:
    """Cut the draws into chunks that fit the budget."""
    fits = max(left(job) // max(job.a_row, 1), 1)
    size = min(fits, MOST_ROWS)
    return (range(i, min(i + size, DRAWS)) for i in range(0, DRAWS, size))


def _pushed(
    program: LinearProgram,
    deviations: Mapping[str, Array],
    scale: float,
    rng: np.random.Generator,
    count: int,
) -> Iterator[Array]:
    """Draw noise at every step so many times, and yield what arrives at the outputs: (rows,)."""
    kind = program.dtype.type
    normal = {np.dtype(np.float32): np.float32}.get(program.dtype, np.float64)

    def drawn(name: str, shape: Shape, sent: Array) -> Array:
        deviation = np.where(np.isfinite(deviations[name]), deviations[name], 0)
        if not deviation.any():
            return np.broadcast_to(sent, (count, *shape))
        noise = rng.standard_normal((count, *shape), dtype=normal).astype(kind, copy=False)
        noise *= (deviation * scale).astype(kind)
        noise += sent
        return noise

    def noisy(step: Step, values: Mapping[str, Array]) -> Array:
        return drawn(step.output, step.shape, applied(step.terms, values, read=np.asarray))

    start = {
        name: np.zeros((count, *shape), program.dtype) for name, shape in program.inputs.items()
    }
    start |= {n: drawn(n, start[n].shape[1:], start[n]) for n in start if n in deviations}
    with np.errstate(over="ignore", invalid="ignore"):
        values = forth(program.steps, start, noisy, program.outputs)
    yield from program.gathered(values, count)


def _reached_by(job: Job, known: Mapping[str, Array]) -> Array:
    """Which rows are reached by entries whose deviation is not known: (K,) of bool."""
    program = job.program

    def marked(step: Step, values: Mapping[str, Array]) -> Array:
        sent = applied(absolute(step.terms), values, read=np.asarray) != 0
        return np.broadcast_to(sent | ~known[step.output], (1, *step.shape)).astype(np.float64)

    start = {name: np.zeros((1, *shape)) for name, shape in program.inputs.items()}
    start |= {name: 1.0 * ~known[name][None] for name in start if name in known}
    values = forth(program.steps, start, marked, program.outputs)
    whole = program.gathered(values)[0]
    rows: Array = job.seeds.apply(whole) if job.seeds.matrix is None else np.ones(len(job.seeds))
    return rows != 0
