"""The way through the linear program: run the model, ask the rules, let an engine interpret."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from onnxlin.affine_map import AffineMap
from onnxlin.engines.cuts import Halves
from onnxlin.engines.job import Job, Solution
from onnxlin.engines.plan import are_heavy, costs, in_blocks, plan, why_cut, why_live
from onnxlin.engines.seeds import make_seeds
from onnxlin.linearizer.ask import Ask, asked_of
from onnxlin.linearizer.by_cut import with_graph
from onnxlin.linearizer.by_graph import by_runner
from onnxlin.linearizer.kept import kept
from onnxlin.linearizer.ready import Ready
from onnxlin.linearizer.told import Told


def by_program(ready: Ready, ask: Ask) -> AffineMap:
    """Answer from the linear program at x.

    Under "auto" many rows may be for a cut, or for the live engine; else, where a graph pays, or
    calls have lost enough without one, it is opened and answers instead.

    Raises
    ------
    RowsError, TraceError, UnsupportedNodeError
    MemoryBudgetError
        The model and its run alone do not fit; or not even a row, where W goes to a file.
    FileError
    """
    ready.hold(ask.feeds)
    values = ready.trace(ask.feeds)
    dtype = ready.dtype(values) if ask.dtype is None else ask.dtype
    seeds = make_seeds(ask.rows, sum(values[name].size for name in ready.section.outputs))
    # First: the rules would stumble over the same infinity, and say less.
    inputs, outputs = ready.ends(values, seeds)
    program = ready.builder(values, dtype)
    engine, why = plan(program, len(seeds), ask.engine)
    saved, told = ask.save is not None, Told(ask.progress, len(seeds), program.nnz)
    progress = told.of_bound if saved else ask.progress
    job = ready.job(program, values, seeds, progress, stored=saved)
    halves, engine, why = _cut(ready, ask, job, engine, why)
    if (ask.engine, engine) == ("auto", "reverse") and ask.settled in (None, "live"):
        engine, why = _live(ready, ask, job, why)
    if ask.engine == "auto" and engine in ("reverse", "forward"):
        found = _by_graph(ready, ask, job, engine)
        if found is not None:
            return found

    anew = halves is not None and halves.below.name == "compiled"

    def made(solution: Solution | None = None, needs: int | None = None) -> AffineMap:
        return AffineMap(
            inputs=inputs,
            outputs=outputs,
            rows=seeds,
            mode=ready.mode,
            rounding=ready.section.rounding,
            engine=engine,
            plan=why,
            dtype=dtype,
            origin=ready.origin(ask.feeds, values, program, job),
            own=partial(ready.own, ask.feeds) if anew else None,
            notes=ready.notes(halves.below.notes if halves is not None else ()),
            names=ready.names,
            solution=solution,
            needs=needs,
        )

    if ask.save is None and anew:
        assert halves is not None
        return made(halves(seeds, ask.progress), halves.needs(len(seeds)))
    if ask.save is None:
        return made()
    blocks, needs = in_blocks(replace(job, progress=told.of_rows), engine, halves)
    return kept(ask.save, blocks, partial(made, needs=needs), told)


def _by_graph(ready: Ready, ask: Ask, job: Job, engine: str) -> AffineMap | None:
    """Answer from a graph where one pays, and can be opened."""
    if ask.settled not in (None, "compiled"):
        return None
    program, rows = job.program, len(job.seeds)
    # Of heavy rows the program at each x says what is fastest.
    asked = None if are_heavy(rows, program.nnz) else ask.kind
    runner = ready.shelf.worth_opening(
        ask.feeds,
        program.dtype,
        partial(costs, program, rows, engine),
        single=ask.single,
        loop=ask.loop,
        asked=asked,
    )
    return None if runner is None else by_runner(ready, ask, runner)


def _live(ready: Ready, ask: Ask, job: Job, why: str) -> tuple[str, str]:
    """Let live entries alone answer many rows under "auto", where that is expected to be faster."""
    asked, settled = asked_of(ask.feeds, len(job.seeds)), ask.settled is not None
    if not settled and ready.found.taken_for_dense(asked):
        return "reverse", why
    living = why_live(job, settled=settled)
    if living is not None:
        ready.found.live(asked)
        return "live", living
    if are_heavy(len(job.seeds), job.program.nnz):
        ready.found.dense(asked)
    return "reverse", why


def _cut(ready: Ready, ask: Ask, job: Job, engine: str, why: str) -> tuple[Halves | None, str, str]:
    """Cut the program under "auto", where that is expected to be faster."""
    if ask.engine != "auto" or ask.settled not in (None, "cut"):
        return None, engine, why
    asked = asked_of(ask.feeds, len(job.seeds))
    if ask.settled is None and ready.found.is_whole(asked):
        return None, engine, why
    found = why_cut(job, settled=ask.settled is not None)
    if found is None:
        ready.found.whole(asked)
        return None, engine, why
    halves, why = found
    return with_graph(ready, ask, halves, job.program.dtype), "cut", why
