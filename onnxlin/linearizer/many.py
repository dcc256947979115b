"""Many instances: at once through a graph compiled for so many, where that pays and can be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.compiled import Answer, ahead
from onnxlin.engines.seeds import Seeds, how_many, make_seeds
from onnxlin.errors import MemoryBudgetError, RowsError, TraceError
from onnxlin.graph import Array
from onnxlin.linearizer.ask import asked_dtype
from onnxlin.linearizer.by_graph import alike
from onnxlin.linearizer.ready import Ready
from onnxlin.section.feeds import Instance, instance, stack_feeds

# Instances that a compiled graph takes at once: more make it no faster. Fewer instances than these
# few are not worth another graph, if "compiled" is asked for or if nothing is.
AT_ONCE, FEWEST, WORTH_OPENING = (64, 16, 8), 4, 32
# The same where two runs go beside each other.
BESIDE = (32, 8, 4)
# Bytes of tensors, times rows, of all instances that go at once: more gain nothing, take memory,
# and at four times as much fall out of the caches. A CIFAR ResNet-20, ten rows, takes 5.8 ms an
# instance with 117 MiB and 9.6 with 467, one row of a SqueezeNet 13 with 139 and 29 with 556; one
# at a time they take 6.6 and 14.
MOST = 2**26


def together(count: int, engine: str, runs: int) -> int | None:
    """How many of so many instances to take at once; None for one by one.

    The largest number that is at least half full, or that gives every run something to do.

    Parameters
    ----------
    runs : int
        Beside each other.
    """
    fewest = {"compiled": FEWEST, "auto": WORTH_OPENING}.get(engine, np.inf)
    if count < fewest:
        return None
    if runs == 1:
        return next(n for n in AT_ONCE if n <= 2 * count)
    return next((n for n in BESIDE if runs * n <= count), BESIDE[-1])


def stacks(
    ready: Ready,
    apart: Sequence[Instance],
    at_once: int,
    *,
    rows: Any,
    dtype: npt.DTypeLike | None,
    one: Callable[[int, Instance], AffineMap],
    each: Sequence[int] | None = None,
) -> Iterator[AffineMap]:
    """Linearise instances ``at_once``, or each by ``one`` where that cannot be done.

    With ``each`` one row of its own for every instance, and not the same ``rows`` for all.
    """
    with instance(0):
        first = ready.feeds(apart[0])
    at_once = fitting(at_once, ready, first, rows if each is None else 0)
    if at_once < FEWEST:
        yield from one_by_one(apart, one)
        return
    kind, memory = asked_dtype(dtype), ready.budget()
    runner = ready.shelf.many(first, lambda: ready.trace(first), at_once, memory)
    if runner is None or not (kind is None or kind == runner.dtype):
        yield from one_by_one(apart, one)
        return
    asked = [rows] if each is None else [[row] for row in each]
    seeds = [make_seeds(own, runner.n_rows) for own in asked]
    runs = runner.runs(len(seeds[0]), memory)
    room = memory if runs == 1 else memory // (runs + 1)
    why = f"{at_once} instances at once in a graph compiled for them"

    def own(start: int) -> Sequence[Seeds]:
        return seeds if each is None else seeds[start : start + at_once]

    def answers(start: int) -> Sequence[Answer] | None:
        some = apart[start : start + at_once]
        feeds = stack_feeds(some, ready.section.graph.inputs, ready.held, start)
        try:
            return runner(feeds, own(start), room)
        except (TraceError, MemoryBudgetError):
            return None

    for start, found in ahead(answers, range(0, len(apart), at_once), runs):
        if found is None:
            yield from one_by_one(apart[start : start + at_once], one, start)
        else:
            yield from alike(ready, found, own(start), runner.dtype, why, further=runner.notes)


def fitting(at_once: int, ready: Ready, first: dict[str, Array], rows: Any) -> int:
    """Return how many instances to take at once so that their tensors stay near the cores.

    Where one instance has many products for every core to do, more of them only take memory.
    """
    tensors, entries = ready.run_sizes(first)
    each = tensors * max(how_many(rows, entries), 1)
    return next((n for n in (at_once, *AT_ONCE, FEWEST) if n <= at_once and n * each <= MOST), 1)


def one_by_one(
    apart: Sequence[Instance], one: Callable[[int, Instance], AffineMap], start: int = 0
) -> Iterator[AffineMap]:
    """Linearise each by itself; an error says which of them, counted from ``start``."""
    for i, x in enumerate(apart, start):
        with instance(i):
            found = one(i, x)
        yield found


def require_each(each: Sequence[int] | None, rows: Any, count: int) -> None:
    """Refuse rows of their own that are not one for every instance.

    Raises
    ------
    RowsError
    """
    if each is not None and (rows is not None or len(each) != count):
        beside = "" if rows is None else " beside rows="
        raise RowsError(
            f"each= has {len(each)} rows for {count} instances{beside}; expected one row for every "
            "instance, and no rows=."
        )
