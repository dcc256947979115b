"""Chunk after chunk: each is computed, written, and marked as done.

While one is being written the next is computed: a disk that confirms what it has takes its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from uuid import uuid4

from onnxlin.data import table
from onnxlin.data.chunked import Chunked, Done
from onnxlin.data.store import Store
from onnxlin.engines.confined import confined
from onnxlin.engines.memory import keep_freed_arrays_here


@dataclass(frozen=True)
class Report:
    """What is said of a chunk that is done; without a store, what was found as well."""

    number: int
    samples: int
    failed: int
    done: Done | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """A run's work, wherever it is done; it is pickled.

    Parameters
    ----------
    task : Chunked
    store : Store or None
        Without one, what is found of a chunk is handed to whoever asked for it.
    threads : int or None
        Of each worker; None takes what there is.
    """

    task: Chunked
    store: Store | None
    threads: int | None

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("task", "store", "threads")}

    def fresh(self) -> Work:
        """Return a copy whose model is not open yet: it is opened with the threads it is to use."""
        lin = self.task.lin
        # Which holds the weights, and is only read.
        shared = {id(lin.section): lin.section}
        return replace(self, task=replace(self.task, lin=deepcopy(lin, shared)))

    def compute(self, number: int) -> Report:
        """Do one chunk, and write nothing. Whoever does it again finds the same.

        Raises
        ------
        InputError
            The source is gone, or is not what it was.
        """
        at = self.slices[number]
        with confined(self.threads):
            done = self.task(at)
        return Report(number, at.stop - at.start, len(done.errors), done)

    def keep(self, report: Report) -> Report:
        """Write what was computed of a chunk, and mark it as done.

        Raises
        ------
        FileError
            The disk is full, say.
        """
        task, store, number, done = self.task, self.store, report.number, report.done
        assert store is not None
        assert done is not None
        store.write(number, done.arrays)
        at, source = self.slices[number], task.source
        table.write_part(store, number, table.lines(done, at, source.labels, source.names))
        store.mark(number)
        return replace(report, done=None)

    def through(self, numbers: Iterable[int], told: Callable[[Report], None]) -> None:
        """Do chunks one after the other, in this process, and tell of each that is kept."""
        if self.store is None:  # nothing is written, and nobody need hold a chunk beside the next
            for number in numbers:
                told(self.compute(number))
            return
        with ThreadPoolExecutor(1, "onnxlin-store") as writer:
            before: Future[Report] | None = None
            for number in numbers:
                report = self.compute(number)
                if before is not None:
                    told(before.result())
                before = writer.submit(self.keep, report)
            if before is not None:
                told(before.result())

    def size(self, number: int) -> int:
        """Samples of a chunk."""
        at = self.slices[number]
        return at.stop - at.start

    @cached_property
    def slices(self) -> list[slice]:
        """The chunks."""
        return self.task.order.slices()


class Hands:
    """Copies of the work, one for each chunk that a worker computes at a time: they share nothing.

    A thread of dask's that has computed a chunk leaves the others to write it, and ends: so the
    copies, each with a model that is open, are nobody's in particular.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.name = f"onnxlin-{work.task.order.digest[:16]}-{uuid4().hex[:8]}"
        """Of this run: another that does the same may go to another store, on the same workers."""
        self._free: list[Work] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": self._work, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._free = []

    @property
    def writes(self) -> bool:
        """Whether chunks are kept in a store."""
        return self._work.store is not None

    def __call__(self, number: int, leave: Callable[[], None]) -> Report | None:
        """Do one chunk; ``leave`` lets another thread compute the next while this one is kept.

        Returns
        -------
        Report or None
            None where `expected` says it all: there is nothing to be fetched from the worker.
        """
        try:
            work = self._free.pop()
        except IndexError:
            keep_freed_arrays_here()
            work = self._work.fresh()
        try:
            report = work.compute(number)
        finally:
            self._free.append(work)
        if work.store is None:
            return report
        leave()
        kept = work.keep(report)
        return kept if kept.failed else None

    def expected(self, number: int) -> Report:
        """What is said of a chunk that is kept, if none of its samples has failed."""
        return Report(number, self._work.size(number), 0)
