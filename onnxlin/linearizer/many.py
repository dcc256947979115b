"""Many instances: at once through a graph compiled for so many, where that pays and can be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.seeds import make_seeds
from onnxlin.errors import MemoryBudgetError, TraceError
from onnxlin.linearizer.ask import asked_dtype
from onnxlin.linearizer.by_graph import map_of
from onnxlin.linearizer.ready import Ready
from onnxlin.section.feeds import Instance, instance, stack_feeds

# Instances that a compiled graph takes at once, the largest number that is at least half full:
# more make it no faster. Fewer instances than these few are not worth another graph, if "compiled"
# is asked for or if nothing is.
AT_ONCE, FEWEST, WORTH_OPENING = (64, 16, 8), 4, 32


def together(count: int, engine: str) -> int | None:
    """How many of so many instances to take at once; None for one by one."""
    fewest = {"compiled": FEWEST, "auto": WORTH_OPENING}.get(engine, np.inf)
    return None if count < fewest else next(n for n in AT_ONCE if n <= 2 * count)


def stacks(
    ready: Ready,
    apart: Sequence[Instance],
    at_once: int,
    *,
    rows: Any,
    dtype: npt.DTypeLike | None,
    one: Callable[[Instance], AffineMap],
) -> Iterator[AffineMap]:
    """Linearise instances ``at_once``, or each by ``one`` where that cannot be done."""
    with instance(0):
        first = ready.feeds(apart[0])
    kind, memory = asked_dtype(dtype), ready.budget()
    runner = ready.shelf.many(first, lambda: ready.trace(first), at_once, memory)
    if runner is None or not (kind is None or kind == runner.dtype):
        yield from one_by_one(apart, one)
        return
    seeds = make_seeds(rows, runner.n_rows)
    for start in range(0, len(apart), at_once):
        some = apart[start : start + at_once]
        feeds = stack_feeds(some, ready.section.graph.inputs, ready.held, start)
        try:
            answers = runner(feeds, seeds, memory)
        except (TraceError, MemoryBudgetError):
            yield from one_by_one(some, one, start)
            continue
        why = f"{at_once} instances at once in a graph compiled for them"
        yield from (map_of(ready, found, seeds, runner.dtype, why) for found in answers)


def one_by_one(
    apart: Sequence[Instance], one: Callable[[Instance], AffineMap], start: int = 0
) -> Iterator[AffineMap]:
    """Linearise each by itself; an error says which of them, counted from ``start``."""
    for i, x in enumerate(apart, start):
        with instance(i):
            found = one(x)
        yield found
