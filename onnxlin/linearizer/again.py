"""A call that asks as many rows as the one before it, at another x: nothing is planned anew.

A small net's graph takes less time than Python takes for everything around it, so what cannot have
changed between two calls is not looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.compiled import Runner
from onnxlin.engines.job import Columns, Solution
from onnxlin.engines.seeds import Seeds, make_seeds
from onnxlin.errors import RowsError, TraceError
from onnxlin.graph import Array
from onnxlin.linearizer.anew import Anew
from onnxlin.linearizer.ask import Ask
from onnxlin.linearizer.ready import Ready
from onnxlin.section.feeds import PLAIN
from onnxlin.section.numbers import all_finite


class Input(NamedTuple):
    """An input of the model, as it was given."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_float: bool


class Again(NamedTuple):
    """A question that has been answered, and what answers it at another x.

    Parameters
    ----------
    runner : Runner
    engine : str
    memory : int
        Bytes with which it was planned.
    inputs : tuple of Input
    alone : str
        The name of the only input; "" where there are several.
    seeds : Seeds
    cotangents : array
        The rows, as the graph takes them.
    pattern : mapping
        What maps of this question have in common, `AffineMap.pattern`.
    """

    runner: Runner
    engine: str
    memory: int
    inputs: tuple[Input, ...]
    alone: str
    seeds: Seeds
    cotangents: Array
    pattern: Mapping[str, Any]

    def __call__(self, ready: Ready, x: Any, rows: Any, engine: str) -> AffineMap | None:
        """Answer; None where something else is asked, or where something is wrong with x.

        ``ready`` is the one that was asked before. Held here it would hold itself, and memory.
        """
        if engine != self.engine or self.memory != ready.budget():
            return None
        seeds = self._seeds(rows)
        feeds = None if seeds is None else self._feeds(x)
        if seeds is None or feeds is None:
            return None
        if seeds is self.seeds:
            return self._map(ready, feeds, seeds, self.cotangents, self.pattern)
        cotangents = self.runner.at_once(seeds, self.memory)
        if cotangents is None:
            return None
        return self._map(ready, feeds, seeds, cotangents, {**self.pattern, "rows": seeds})

    def _seeds(self, rows: Any) -> Seeds | None:
        """Read as many rows as have been asked before: what was planned depends on no more."""
        if type(rows) is list:
            if len(rows) != len(self.seeds):
                return None
        elif not (rows is None or type(rows) in (range, int)):
            return None
        try:
            seeds = make_seeds(rows, self.seeds.size)
        except RowsError:
            return None  # what is wrong with x is said first
        return seeds if seeds is self.seeds or len(seeds) == len(self.seeds) else None

    def _feeds(self, x: Any) -> dict[str, Array] | None:
        """Copy what is given, if it is as the latest x was, and finite."""
        given, feeds = x if type(x) is dict else {self.alone: x}, {}
        if len(given) != len(self.inputs):
            return None
        for name, dtype, shape, is_float in self.inputs:
            value: Any = given.get(name)
            fits = type(value) is np.ndarray and value.dtype is dtype and value.shape == shape
            if not fits or (is_float and not all_finite(value)):
                return None
            feeds[name] = value.copy()
        return feeds

    def _map(
        self,
        ready: Ready,
        feeds: dict[str, Array],
        seeds: Seeds,
        cotangents: Array,
        pattern: Mapping[str, Any],
    ) -> AffineMap | None:
        """Run the graph; None where an output is not finite, or it cannot be run."""
        runner = self.runner
        try:
            W, shares, values = runner.once(feeds, cotangents)
        except TraceError:
            return None  # asked once more it is raised, or another engine answers
        section, starts, ends = ready.section, {}, {}
        for name in section.outputs:
            ends[name] = value = values[name]
            if not all_finite(value):
                return None
        for name in section.inputs:
            starts[name] = feeds[name] if name in feeds else values[name]
        solution = Solution(W, Columns(runner.compiled.nodes, shares.astype(np.float64)))
        anew = Anew(ready, feeds, runner.compiled.dtype, seeds)
        return AffineMap.of_pattern(pattern, (starts, ends), solution, anew, anew.own)


def again(ready: Ready, ask: Ask, runner: Runner, m: AffineMap) -> Again | None:
    """Keep what a graph was asked and has answered; None for what takes a closer look each time."""
    graph, memory = ready.section.graph, ready.budget()
    if not (ask.dtype is None and ask.progress is None and ask.save is None):
        return None
    if graph.optional or graph.defaults:
        return None
    inputs = []
    for name, kind in graph.inputs.items():
        value = ask.feeds[name]
        if PLAIN.get(kind.elem_type) is not value.dtype:
            return None
        inputs.append(Input(name, value.dtype, value.shape, value.dtype.kind == "f"))
    cotangents = runner.at_once(m.rows, memory)
    if cotangents is None:
        return None
    alone = inputs[0].name if len(inputs) == 1 else ""
    return Again(
        runner, ask.engine, memory, tuple(inputs), alone, m.rows, cotangents,
        m.pattern(),
    )  # fmt: skip
