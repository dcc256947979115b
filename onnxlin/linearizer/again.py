"""A call that asks what the one before it asked, at another x: nothing is planned or read anew.

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
from onnxlin.engines.seeds import FEW, Seeds
from onnxlin.errors import TraceError
from onnxlin.graph import Array
from onnxlin.linearizer.ask import Ask
from onnxlin.linearizer.ready import Anew, Ready
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
    rows : range, int, list of int or None
        As they were asked.
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
    rows: Any
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
        same = self.rows
        # The integer 1 equals True and 1.0, which are no rows.
        listed = type(rows) is list
        if engine != self.engine or type(rows) is not type(same) or rows != same:
            return None
        if (listed and not _integers(rows)) or self.memory != ready.budget():
            return None
        feeds = self._feeds(x)
        return None if feeds is None else self._map(ready, feeds)

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

    def _map(self, ready: Ready, feeds: dict[str, Array]) -> AffineMap | None:
        """Run the graph; None where an output is not finite, or it cannot be run."""
        runner = self.runner
        try:
            W, shares, values = runner.once(feeds, self.cotangents)
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
        anew = Anew(ready, feeds, runner.compiled.dtype, self.seeds)
        return AffineMap.of_pattern(self.pattern, (starts, ends), solution, anew, anew.own)


def again(ready: Ready, ask: Ask, runner: Runner, m: AffineMap) -> Again | None:
    """Keep what a graph was asked and has answered; None for what takes a closer look each time."""
    graph, memory, rows = ready.section.graph, ready.budget(), ask.rows
    if not (ask.dtype is None and ask.progress is None and ask.save is None):
        return None
    if graph.optional or graph.defaults or not (rows is None or type(rows) in (range, int, list)):
        return None
    if type(rows) is list:
        if not _integers(rows):
            return None
        rows = list(rows)  # the caller's may change
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
        runner, ask.engine, rows, memory, tuple(inputs), alone, m.rows, cotangents,
        m.pattern(),
    )  # fmt: skip


def _integers(rows: list[Any]) -> bool:
    return len(rows) <= FEW and all(type(row) is int for row in rows)
