"""Chunk after chunk: each is computed, written, and marked as done."""

from __future__ import annotations

import threading
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

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

    def __call__(self, number: int) -> Report:
        """Do one chunk. Whoever does it again writes the same.

        Raises
        ------
        FileError
            The disk is full, say.
        InputError
            The source is gone, or is not what it was.
        """
        task, store = self.task, self.store
        at = self.slices[number]
        with confined(self.threads):
            done = task(at)
        report = Report(number, at.stop - at.start, len(done.errors))
        if store is None:
            return replace(report, done=done)
        store.write(number, done.arrays)
        labels = task.source.labels
        table.write_part(store, number, table.lines(done, at, labels, task.source.names))
        store.mark(number)
        return report

    def size(self, number: int) -> int:
        """Samples of a chunk."""
        at = self.slices[number]
        return at.stop - at.start

    @cached_property
    def slices(self) -> list[slice]:
        """The chunks."""
        return self.task.order.slices()


class Hands:
    """Copies of the work, one for each thread of a worker: they share nothing."""

    def __init__(self, work: Work) -> None:
        self._work, self._own = work, threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": self._work}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._own = threading.local()

    @property
    def name(self) -> str:
        """Of the work: two runs that do the same have one."""
        return f"onnxlin-{self._work.task.order.digest[:16]}"

    def __call__(self, number: int) -> Report:
        """Do one chunk."""
        found = vars(self._own).get("work")
        if found is None:
            # For good: this process does nothing else, and others of its threads are at work.
            confined(self._work.threads).__enter__()
            keep_freed_arrays_here()
            found = self._own.work = self._work.fresh()
        report: Report = found(number)
        return report
