"""Readings of a whole data set: its chunks gone over in their order, with a store or without."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import TypeVar
from uuid import uuid4

import numpy as np

from onnxlin.data.begun import begun
from onnxlin.data.chunked import Chunked, Done
from onnxlin.data.order import ALL, Order
from onnxlin.data.runner import Bar, require_shared, summary, through
from onnxlin.data.source import Source
from onnxlin.data.sources.opening import source_of
from onnxlin.data.store import Store
from onnxlin.data.table import failures
from onnxlin.data.way import Way, threads_of
from onnxlin.data.work import Report, Work
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.runtime.session import VERSION
from onnxlin.section.options import whole
from onnxlin.version import __version__

What = TypeVar("What", bound=Chunked)
Take = Callable[[What, slice, Mapping[str, Array]], None]
# Bytes of one chunk, and most samples of it.
BYTES, MOST = 2**23, 1024
FEWEST = 16
"""Chunks, if there are as many stacks: several workers are to have some, and progress is shown."""
SHOWN = 5
"""Failures that are told."""
# Instances that a graph takes at once, at most, and bytes of tensors, times rows, of all of them:
# chunks are cut between them, so that every one is beside those that it is beside in one stack.
AT_ONCE, TENSORS = 64, 2**26


def opened(model: Model | Linearizer, data: object, way: Way) -> tuple[Linearizer, Source, int]:
    """Open the model and the data: these, and how many samples are asked for.

    Raises
    ------
    OptionError, InputError
    """
    known = list(Way.__annotations__)
    if unknown := sorted(set(way) - set(known)):
        raise OptionError(f"There is no {unknown[0]}=; expected some of {known}.")
    if way.get("store") is None and (way.get("resume") or way.get("overwrite")):
        raise OptionError("resume and overwrite are about a store. Give store= (--store) as well.")
    lin = model if isinstance(model, Linearizer) else Linearizer(model)
    source = source_of(lin.graph, data, None, way.get("storage_options"))
    limit = way.get("limit")
    count = len(source) if limit is None else min(whole("limit", limit, 1), len(source))
    return lin, source, count


def ordered(
    lin: Linearizer, source: Source, count: int, what: str, way: Way, **options: object
) -> Order:
    """Say what is asked, of a chunk as large as is yet to be found out.

    Data are summed up only where a store is to be known again by it. Here all of
    `Linearizer.means` counts: which of them shows is not looked into.
    """
    chunk = way.get("chunk")
    means = {**lin.means, "threads": threads_of(lin, way)}
    known = {"onnxlin": __version__, "onnxruntime": VERSION, **means, **options}
    told = tuple(sorted((name, value) for name, value in known.items() if value is not None))
    digest = uuid4().hex if way.get("store") is None else source.digest
    size = 1 if chunk is None else whole("chunk", chunk, 1)
    return Order(lin.digest, digest, count, (what,), ALL, size, options=told)


def summed(array: Array | None) -> str | None:
    """Name an array by its contents."""
    if array is None:
        return None
    return sha256(repr((array.dtype.str, array.shape)).encode() + array.tobytes()).hexdigest()


def chunk_of(first: Mapping[str, Array], rows: int, results: int, count: int) -> int:
    """How many samples to do at once: about 8 MiB, or up to 64 so that no stack is cut in two.

    Parameters
    ----------
    first : {input name: array}
        Of one sample.
    rows : int
        Of its map.
    results : int
        Numbers that are found of a sample.
    """
    size = sum(value.nbytes for value in first.values())
    most = max(count // FEWEST, AT_ONCE)
    found = min(BYTES // max(size + 8 * results, 1), MOST, most, count)
    if found < min(AT_ONCE, count):
        together = TENSORS // max(size * rows, 1)
        found = min(AT_ONCE, 1 << max(together - 1, 0).bit_length(), count)
    return found if found < AT_ONCE else found // AT_ONCE * AT_ONCE


def gone_over(task: What, way: Way, take: Take[What]) -> list[tuple[int, str]]:
    """Do all chunks, and give what is found of each to ``take``, in their order.

    It is called with the task as a store has it, the chunk, and its arrays. Returned are the first
    samples that have no map, and why.

    With a store, what was done before is taken from there, and what is done now goes there first.

    Raises
    ------
    OptionError
        The store is there already, or is that of something else.
    """
    start, threads = time.monotonic(), threads_of(task.lin, way)
    where = way.get("store")
    store = None if where is None else Store(where, way.get("storage_options"))
    if store is not None:
        require_shared(store, way)
        again = {"resume": bool(way.get("resume")), "overwrite": bool(way.get("overwrite"))}
        task = begun(store, task, way.get("chunk"), task.order.engine, **again)
    work = Work(task, store, threads)
    work = work if threads is None else work.fresh()
    count = task.order.count
    bar = Bar(count, way.get("progress"), start)
    if store is None:
        landed = _Landed(work, bar, partial(take, task))
        bar.begin(0)
        through(work, way, landed, landed.left)
        task.source.notes = tuple(dict.fromkeys((*task.source.notes, *landed.notes)))
        return landed.failures
    bar.begin(count - sum(work.size(i) for i in store.left()))
    through(work, way, bar, store.left)
    summary(store, task, bar.made, time.monotonic() - start)
    for at in work.slices:
        take(task, at, {v.name: store.read(v.name, at) for v in task.variables})
    return [(line["sample"], line["error"]) for line in failures(store, SHOWN)]


class _Landed:
    """Chunks that are done, handed on in their order."""

    def __init__(
        self, work: Work, bar: Bar, take: Callable[[slice, Mapping[str, Array]], None]
    ) -> None:
        self._work, self._bar, self._take = work, bar, take
        self._waiting: dict[int, Done] = {}
        self._next = 0
        self.notes: dict[str, None] = {}
        self.failures: list[tuple[int, str]] = []

    def __call__(self, report: Report) -> None:
        """Take one, once."""
        if report.number < self._next or report.number in self._waiting:
            return
        assert report.done is not None
        self._waiting[report.number] = report.done
        self._bar(report)
        while (done := self._waiting.pop(self._next, None)) is not None:
            self.notes |= dict.fromkeys(done.notes)
            at = self._work.slices[self._next]
            self.failures += [(at.start + i, text) for i, text in sorted(done.errors.items())]
            del self.failures[SHOWN:]
            self._take(at, done.arrays)
            self._next += 1

    def left(self) -> list[int]:
        """Numbers of those that have not come."""
        rest = range(self._next, len(self._work.slices))
        return [i for i in rest if i not in self._waiting]


def not_failed(count: int) -> Array:
    """Marks of samples of which none has failed: a reading of them all ends at the first."""
    return np.zeros(count, np.uint8)
