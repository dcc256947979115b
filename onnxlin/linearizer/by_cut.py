"""A cut's lower half by a compiled graph of its own: of the section that ends with the cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from onnxlin.engines.compiled import Runner
from onnxlin.engines.cuts import Cut, Halves, Sweeper
from onnxlin.engines.job import Job, Solution
from onnxlin.engines.plan import costs
from onnxlin.errors import OnnxlinError
from onnxlin.graph import Array
from onnxlin.linearizer.ask import Ask
from onnxlin.linearizer.ready import Ready


def with_graph(ready: Ready, ask: Ask, halves: Halves, dtype: np.dtype[np.generic]) -> Halves:
    """Have a graph sweep the lower half, once that pays; see `Shelf.worth_opening`.

    Returns
    -------
    Halves
        As it was where there is no graph, or not yet, or where it does not fit the budget.
    """
    below = halves.lower_job()
    runner = None
    if halves.below.name == "reverse":
        worth = partial(costs, below.program, len(below.seeds), "reverse")
        runner = _runner(ready, ask, halves.cut, worth, dtype)
    if runner is None:
        return halves
    made = replace(halves, below=_sweeper(runner, ask.feeds))
    return made if made.fits else halves


def _runner(
    ready: Ready,
    ask: Ask,
    cut: Cut,
    worth: Callable[[], tuple[float, float]],
    dtype: np.dtype[np.generic],
) -> Runner | None:
    try:
        shelf = ready.ending(cut.names).shelf
    except OnnxlinError:  # a tensor inside of what a node is opened into, or one of integers
        return None
    found = shelf.worth_opening(ask.feeds, dtype, worth, single=False, loop=ask.loop)
    if found is None:
        return None
    ends = found.compiled
    mine, theirs = (cut.lower.inputs, cut.lower.outputs), (ends.inputs, ends.outputs)
    same = all([*a.items()] == [*b.items()] for a, b in zip(mine, theirs, strict=True))
    return found if same else None


def _sweeper(runner: Runner, feeds: Mapping[str, Array]) -> Sweeper:
    """The graph as what sweeps a half, beside what the job holds."""

    def engine(job: Job) -> Solution:
        return runner(feeds, job.seeds, job.memory - job.held, job.progress).solution

    def estimate(job: Job) -> int:
        return job.held + runner.plan(len(job.seeds), job.memory - job.held)[1]

    return Sweeper("compiled", engine, estimate, runner.standing, runner.notes)
