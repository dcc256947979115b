"""Choose an engine from the sizes and the memory, and say why."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from onnxlin.engines import explicit, reverse
from onnxlin.engines.blocks import Blocks, block_of
from onnxlin.engines.costs import A_PRODUCT, dense, opening, planning, saved
from onnxlin.engines.cuts import Cut, Halves, Sweeper, cost_of, narrowest
from onnxlin.engines.explicit import estimate
from onnxlin.engines.forward import estimate as forward_bytes
from onnxlin.engines.forward import forward
from onnxlin.engines.job import Engine, Job, Progress, Solution
from onnxlin.engines.live import alive, live
from onnxlin.engines.live import estimate as live_bytes
from onnxlin.engines.live import seconds as live_seconds
from onnxlin.engines.reverse import line
from onnxlin.engines.seeds import Seeds, some_of
from onnxlin.program import LinearProgram
from onnxlin.section.options import one_of


def cut(job: Job) -> Solution:
    """Compute rows by the narrowest cut of the program; sweep it whole where there is none."""
    halves = halves_of(job)
    return swept(job) if halves is None else halves(job.seeds, job.progress)


ENGINES: dict[str, Engine] = {
    "explicit": explicit.explicit,
    "reverse": reverse.reverse,
    "forward": forward,
    "live": live,
    "cut": cut,
}
"""Engines by name that interpret a program."""

NAMES = (*ENGINES, "compiled")
"""Every engine; `onnxlin.engines.compiled` has no program to interpret, it has become a graph."""

CHOICES = ("auto", *NAMES)
"""What ``engine=`` takes."""


def plan(program: LinearProgram, rows: int, engine: str) -> tuple[str, str]:
    """Return the engine's name and the reason: ``engine="auto"`` compares the sweeps needed."""
    if engine != "auto":
        return require_engine(engine), "asked for"
    columns = program.columns
    need = f"explicit would take about {estimate(program, rows) / 2**20:,.0f} MiB"
    if rows <= columns:
        return "reverse", f"{rows} rows are no more than {columns} columns; {need}"
    return "forward", f"{columns} columns are fewer than {rows} rows; {need}"


def estimated(job: Job, engine: str) -> int:
    """Bytes that computing W takes in all, with the model and the tensors of its run."""
    if engine == "explicit":
        return job.held + explicit.estimate(job.program, len(job.seeds))
    others = {"forward": forward_bytes, "live": live_bytes, "cut": cut_bytes}
    return others.get(engine, reverse.estimate)(job)


def swept(job: Job) -> Solution:
    """Sweep a program by the engine that is expected to be fastest."""
    return ENGINES[sweeping(job)](job)


def sweeping(job: Job) -> str:
    """Name that engine."""
    engine, _ = plan(job.program, len(job.seeds), "auto")
    return "live" if engine == "reverse" and why_live(job) else engine


def halves_of(job: Job) -> Halves | None:
    """Cut the program of a job where that is cheapest; None where it cannot be, or does not fit."""
    found = narrowest(job.program, job.seeds)
    return None if found is None else _halves(job, found)


def _halves(job: Job, found: Cut) -> Halves | None:
    """Say how the halves are swept; None where they do not fit the budget."""
    own = Sweeper("", swept, lambda half: estimated(half, sweeping(half)))
    halves = Halves(job, found, own, own)
    half = halves.lower_job()
    # What is mostly alive is not for the live engine: to look closer would take seconds.
    mostly = found.share > ALIVE
    name = plan(half.program, len(half.seeds), "auto")[0] if mostly else sweeping(half)
    below = Sweeper(name, ENGINES[name], lambda half: estimated(half, name))
    halves = replace(halves, below=below)
    return halves if halves.fits else None


def cut_bytes(job: Job) -> int:
    """Bytes that `cut` takes in all, with what is there already."""
    halves = halves_of(job)
    return estimated(job, sweeping(job)) if halves is None else halves.needs(len(job.seeds))


# Rows of which an engine makes no more use where W goes to a file, a block of rows at a time: a few
# sweeps of `reverse`. Others do much of their work again for each block.
A_BLOCK = {"reverse": 64}


def in_blocks(job: Job, engine: str, halves: Halves | None = None) -> tuple[Blocks, int]:
    """Cut the rows asked into blocks that fit the budget; with the bytes that computing one takes.

    Parameters
    ----------
    job : Job
        Of all rows.
    halves : Halves, optional
        How they are computed, of engine "cut".
    """

    def of(seeds: Seeds, progress: Progress | None = None) -> Job:
        return replace(job, seeds=seeds, progress=progress, stored=False)

    if engine == "cut":
        halves, engine = halves or halves_of(job), sweeping(job)

    def need(count: int) -> int:
        if halves is not None:
            return halves.needs(count)
        return estimated(of(some_of(job.seeds, np.arange(count))), engine)

    total, most = len(job.seeds), A_BLOCK.get(engine, len(job.seeds))
    kept, most = (0, most) if halves is None else (halves.kept, total)
    size = block_of(
        total, job.memory - job.held - kept, line(job), most,
        lambda count: need(count) <= job.memory,
    )  # fmt: skip
    solve = halves or (lambda seeds, progress: ENGINES[engine](of(seeds, progress)))
    program = job.program
    made = Blocks(solve, job.seeds, size, program.columns, program.dtype, job.progress)
    return made, need(min(size, total))


def costs(program: LinearProgram, rows: int, engine: str) -> tuple[float, float]:
    """Estimate what a graph saves of a map that is interpreted, and what opening it takes."""
    shares = {step.node.name for step in program.steps if step.bias is not None}
    sweeps = rows if engine == "reverse" else program.columns + len(shares)
    return saved(program, rows, sweeps), opening(program)


# Where rows are heavy, it is worth looking whether fewer products will do than dense ones: that
# takes part of a second. Dense products are to take so many times as long as a plan.
MANY, HEAVY, FAR = 64, 2e10, 4
# From this part of multiplications between live entries on, dense products are faster.
ALIVE = 0.6
# So many times fewer multiplications a cut is to take.
SURE = 1.25
# Why, of a map in a loop.
LIKE_FIRST = "as the first map of its loop"


def are_heavy(rows: int, nnz: int) -> bool:
    """Whether so many rows, each of so many multiplications, may be for the live engine."""
    return rows >= MANY and rows * nnz >= HEAVY


def why_live(job: Job, *, settled: bool = False) -> str | None:
    """Say why the live engine is to compute many rows under "auto"; None if it is not.

    ``settled`` says that it is, since it has answered for another x of the same loop.
    """
    rows, program = len(job.seeds), job.program
    if settled:
        return LIKE_FIRST
    if not are_heavy(rows, program.nnz):
        return None
    other = dense(program, rows)
    if other < FAR * planning(program):
        return None
    own = live_seconds(job) if alive(job) <= ALIVE else inf
    if own > other:
        job.plans.clear()  # large, and of no more use
        return None
    return (
        f"about {own:.2g} s are expected for {rows} rows of live entries alone, {other:.2g} s for "
        "dense products"
    )


# So many rows, of which sweeping takes so many seconds by those numbers: there a cut is looked for.
SOME, NOTICED = 16, 5e-3


def may_be_cut(rows: int, nnz: int) -> bool:
    """Whether so many rows, each of so many multiplications, are worth looking for a cut."""
    return rows >= SOME and A_PRODUCT * rows * nnz >= NOTICED


def why_cut(job: Job, *, settled: bool = False) -> tuple[Halves, str] | None:
    """Say where rows are to be cut under "auto", and why; None if they are not.

    ``settled`` says that they are, wherever there is a cut, since another x of the same loop was.
    """
    rows = len(job.seeds)
    if settled:
        halves = halves_of(job)
        return None if halves is None else (halves, LIKE_FIRST)
    if rows < SOME or not may_be_cut(rows, job.program.nnz):
        return None
    found, whole = narrowest(job.program, job.seeds), cost_of(job.program, rows)
    # First: to look how the halves would be swept may take a second.
    if found is None or SURE * found.cost(rows) > whole:
        return None
    halves = _halves(job, found)
    if halves is None:
        return None
    live, names = len(halves.cut.live), " and ".join(map(repr, halves.cut.names))
    return halves, (
        f"all paths pass {names}, where {live} entries are live: sweeps for those and a product "
        f"take {halves.cut.cost(rows) / whole:.2g} of the multiplications of {rows} rows"
    )


def require_engine(engine: str) -> str:
    """Return the name if there is such an engine, or "auto"."""
    return one_of("engine", engine, CHOICES)
