"""The way through a compiled graph: its forward pass, its W and b."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.blocks import Blocks
from onnxlin.engines.compiled import Answer, Runner
from onnxlin.engines.job import Progress, Solution
from onnxlin.engines.plan import are_heavy, may_be_cut
from onnxlin.engines.seeds import Seeds, how_many, make_seeds
from onnxlin.errors import MemoryBudgetError, OptionError, TraceError
from onnxlin.graph import Array
from onnxlin.linearizer.again import again
from onnxlin.linearizer.anew import Anew
from onnxlin.linearizer.ask import Ask, asked_of
from onnxlin.linearizer.kept import kept
from onnxlin.linearizer.ready import Ready
from onnxlin.linearizer.told import Told
from onnxlin.section.numbers import all_finite
from onnxlin.section.widened import is_narrow, note_of


def by_graph(ready: Ready, ask: Ask) -> AffineMap | None:
    """Answer from a compiled graph if that is the engine, or if one is open and serves as well.

    None where another engine is to answer.

    Raises
    ------
    OptionError
        engine="compiled" is asked for, and cannot compile the model or compute in this dtype.
    """
    runner = _required(ready, ask) if ask.engine == "compiled" else _open(ready, ask)
    if runner is None:
        return None
    found = by_runner(ready, ask, runner)
    if found is None:
        ready.shelf.again = None
        return None
    # Of many rows somebody has to look now and then what is fastest.
    once = ask.engine == "auto" and are_heavy(len(found.rows), runner.compiled.nnz)
    ready.shelf.again = None if once else again(ready, ask, runner, found)
    return found


def _required(ready: Ready, ask: Ask) -> Runner:
    single = ask.single
    runner = ready.shelf.latest(ask.feeds, single=single)
    if runner is None:
        if ready.shelf.ready(ask.feeds, single=single) is None:
            ready.hold(ask.feeds, pieces=False)
        runner = ready.shelf.require(ask.feeds, single=single)
    if not runner.serves(ask.dtype):
        raise OptionError(
            f"engine='compiled' computes in the model's own {runner.compiled.dtype}; "
            f"dtype={ask.dtype} was asked for. Use engine='reverse'."
        )
    return runner


def _open(ready: Ready, ask: Ask) -> Runner | None:
    if ask.engine != "auto" or ask.settled not in (None, "compiled"):
        return None
    shelf, single = ready.shelf, ask.single
    found = shelf.ready(ask.feeds, single=single)
    if found is None:
        found = shelf.due(ask.feeds, single=single, loop=ask.loop, asked=ask.kind)
    if found is None or not found.serves(ask.dtype):
        return None
    # Of many rows a program has to say whether the live engine is faster, or a cut.
    whole, nnz = found.compiled.n_rows, found.compiled.nnz
    if ask.settled or not (are_heavy(whole, nnz) or may_be_cut(whole, nnz)):
        return found
    rows = how_many(ask.rows, whole)
    asked = asked_of(ask.feeds, rows)
    if may_be_cut(rows, nnz) and not ready.found.is_whole(asked):
        return None
    return None if are_heavy(rows, nnz) and not ready.found.taken_for_dense(asked) else found


def by_runner(ready: Ready, ask: Ask, runner: Runner) -> AffineMap | None:
    """Answer from an open graph; None where it cannot and another engine may."""
    try:
        seeds = make_seeds(ask.rows, runner.compiled.n_rows)
        memory = ready.budget()
        if ask.save is not None:
            return _kept(ready, ask, runner, seeds, ask.save)
        found = runner(ask.feeds, seeds, memory, ask.progress)
        why, needs = runner.plan(len(seeds), memory)
        dtype = runner.compiled.dtype
        how: dict[str, Any] = {"progress": ask.progress, "needs": needs, "further": runner.notes}
        return map_of(ready, found, seeds, dtype, why, **how)
    except (TraceError, MemoryBudgetError):
        if ask.engine == "compiled":
            raise
        return None


def _kept(
    ready: Ready, ask: Ask, runner: Runner, seeds: Seeds, path: str | os.PathLike[str]
) -> AffineMap:
    """Answer with a W that is computed into a file."""
    memory, dtype, ends = ready.budget(), runner.compiled.dtype, dict[str, Array]()
    size = runner.block(len(seeds), memory)

    def solve(some: Seeds, progress: Progress | None) -> Solution:
        found = runner(ask.feeds, some, memory, progress)
        if not ends:
            ready.ends(found.values, seeds)  # before all other blocks are waited for
        ends.update(found.values)
        return found.solution

    def made(solution: Solution) -> AffineMap:
        found, (why, needs) = Answer(solution, ends), runner.plan(size, memory)
        how: dict[str, Any] = {"progress": told.of_bound, "needs": needs, "further": runner.notes}
        return map_of(ready, found, seeds, dtype, why, stored=True, **how)

    compiled = runner.compiled
    told = Told(ask.progress, len(seeds), compiled.nnz)
    blocks = Blocks(solve, seeds, size, compiled.columns, dtype, told.of_rows)
    return kept(path, blocks, made, told)


def alike(
    ready: Ready,
    answers: Sequence[Answer],
    asked: Sequence[Seeds],
    dtype: np.dtype[Any],
    why: str,
    *,
    further: tuple[str, ...] = (),
) -> Iterator[AffineMap]:
    """Make maps of answers to one question, as `map_of` does: what they share is said once.

    ``asked`` are the rows of all of them, or as many rows for each.
    """
    section, first, seeds = ready.section, answers[0], asked[0]
    m = map_of(ready, first, seeds, dtype, why, further=further)
    pattern, given = m.pattern(), tuple(section.graph.inputs)
    yield m
    ends = [[found.values[name] for found in answers] for name in section.outputs]
    finite = all(all_finite(np.concatenate(values)) for values in ends)
    for i, found in enumerate(answers[1:], 1):
        if len(asked) > 1:
            seeds = asked[i]
            pattern = {**pattern, "rows": seeds}
        values, feeds, ins, outs = found.values, {}, {}, {}
        for name in given:
            feeds[name] = values[name]
        for name in section.inputs:
            ins[name] = values[name]
        for name in section.outputs:
            outs[name] = values[name]
        if not finite:
            ready.ends(values, seeds)  # says which output of which instance it is
        anew = Anew(ready, feeds, dtype, seeds)
        yield AffineMap.of_pattern(pattern, (ins, outs), found.solution, anew, anew.own)


def map_of(
    ready: Ready,
    found: Answer,
    seeds: Seeds,
    dtype: np.dtype[Any],
    why: str,
    *,
    progress: Progress | None = None,
    needs: int | None = None,
    stored: bool = False,
    further: tuple[str, ...] = (),
) -> AffineMap:
    """Make a map of what a compiled graph has found; ``stored`` if its W lies in a file.

    ``further`` is what the graph has to say of itself.

    Raises
    ------
    TraceError
        An output is NaN or infinite.
    """
    section = ready.section
    feeds = {name: found.values[name] for name in section.graph.inputs}
    inputs, outputs = ready.ends(found.values, seeds)
    # A graph has no program: it is built when the map is asked for more than W and b.
    anew = Anew(ready, feeds, dtype, seeds, progress, stored)
    return AffineMap(
        inputs=inputs,
        outputs=outputs,
        rows=seeds,
        mode=ready.mode,
        rounding=section.rounding,
        engine="compiled",
        plan=why,
        dtype=dtype,
        origin=anew,
        own=anew.own,
        solution=found.solution,
        notes=ready.notes((*([note_of(section)] if is_narrow(section) else []), *further)),
        names=ready.names,
        needs=needs,
    )
