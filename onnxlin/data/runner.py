"""Run over a data set: in this process, on the cores of this machine, or on a cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, Unpack

import numpy as np

from onnxlin.data import table
from onnxlin.data.addresses import MEMORY
from onnxlin.data.begun import begun
from onnxlin.data.chunked import Chunked
from onnxlin.data.cluster import PATIENCE, on_cluster
from onnxlin.data.planned import planned
from onnxlin.data.sources.opening import source_of
from onnxlin.data.store import Store
from onnxlin.data.task import Task
from onnxlin.data.way import Progress, Way
from onnxlin.data.work import Report, Work
from onnxlin.engines.confined import confined
from onnxlin.errors import OptionError
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.section.options import whole


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Parameters
    ----------
    path : str
        The store.
    samples, failed : int
        Of the whole store: those that are in it, and those without a map.
    made : int
        Samples of this run: less than ``samples`` where it was resumed.
    seconds : float
    residual : float
        The largest of all; each is within its bound.
    """

    path: str
    samples: int
    failed: int
    made: int
    seconds: float
    residual: float

    @property
    def speed(self) -> float:
        """Maps a second."""
        return self.made / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {**asdict(self), "maps_a_second": self.speed}


class How(TypedDict, total=False):
    """Further arguments of `run`, by keyword.

    Parameters
    ----------
    chunk : int
        Samples that are done and written at once; by default about 8 MiB of results.
    resume, overwrite : bool
        Go on with what is there, if model, data and options are the same; or begin anew.
    workers : int
        Processes of this machine; 0 and 1 work in this one, which is the default.
    scheduler : str
        Address of a dask cluster, such as ``tcp://host:8786``, whose workers do the work. They need
        onnxlin, the data and the store under the same paths.
    dtype : {"float16", "float32", "float64"}
        Of contributions and W; by default that of W. Float64 is computed as such.
    limit : int
        The first samples only.
    engine : str
        "auto" decides once, for the whole run.
    memory : int or str
        Of each worker; for a `Linearizer` its own counts. A resumed run must agree in it where
        it may show: where several rows of a map go at once.
    threads : int
        Of each worker, by default those of a `Linearizer` that has some, or 1. Part of what a
        resumed run must agree in: sums depend on it.
    labels : path or array (N,)
        Instead of those of the data.
    maps : path
        Of what="audit": an ``.npy`` with a map for each sample.
    norm : {"l1", "l2", "linf"}
        Of what="region" (l2).
    storage_options : dict
        For addresses, of the store and of the data: what fsspec needs beside them.
    patience : float
        Seconds in which workers have to come, or a scheduler that is lost has to be back (60).
    progress : callable
        Called with (done, total, text).
    """

    chunk: int | None
    resume: bool
    overwrite: bool
    workers: int | None
    scheduler: str | None
    dtype: str | None
    limit: int | None
    engine: str
    memory: int | str | None
    threads: int | None
    labels: Any
    maps: str | os.PathLike[str] | None
    norm: str | None
    storage_options: dict[str, Any] | None
    patience: float | None
    progress: Progress | None


def run(
    model: Model | Linearizer,
    data: Any,
    out: str | os.PathLike[str],
    what: Sequence[str] | str = ("contributions",),
    rows: Any = "predicted",
    **how: Unpack[How],
) -> Summary:
    """Linearise every sample of a data set, and keep what is asked of each map in a store.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or Linearizer
        A `Linearizer` says which ends and which mode.
    data : path, paths, arrays, a data set, or Source
        See `onnxlin.data.open_source`. Files are read as the model's metadata say, arrays are taken
        as they are.
    out : path
        Folder of the store, such as ``results.zarr``, or an address that fsspec knows.
    what : names of {"contributions", "ledger", "region", "audit", "W"}
        Beside F(x), W x, b and the residual, which are always kept.
    rows : {"predicted", "labels", "all"} or indices
        Which outputs' rows: the largest of each sample, that of its label, all, or some.
    how : see `How`

    Returns
    -------
    Summary
        A sample that has no map does not end the run: it is a line of NaN, with the reason in the
        table.

    Raises
    ------
    OptionError
        The store is there already, or is that of another run: the message says what differs.
    InputError, RowsError, FileError, RunError
    """
    own = model.threads if isinstance(model, Linearizer) else None
    start, threads = time.monotonic(), whole("threads", how.get("threads") or own or 1, 1)
    how["threads"] = threads
    with confined(threads):
        task, store = _ready(model, data, out, (what, rows), how)
        work = Work(task, store, threads).fresh()
        del task  # the graph that it was planned by would stand beside the one at work
    count = work.task.order.count
    bar = Bar(count, how.get("progress"), start)
    bar.begin(count - sum(work.size(i) for i in store.left()))
    through(work, how, bar, store.left)
    return summary(store, work.task, bar.made, time.monotonic() - start)


def _ready(
    model: Model | Linearizer,
    data: Any,
    out: str | os.PathLike[str],
    asked: tuple[Sequence[str] | str, Any],
    how: How,
) -> tuple[Task, Store]:
    """Open the model and the data, decide what is done to each chunk, and make the store."""
    known = list(How.__annotations__)
    if unknown := sorted(set(how) - set(known)):
        raise OptionError(f"There is no {unknown[0]}=; expected some of {known}.")
    lin = model if isinstance(model, Linearizer) else Linearizer(model, memory=how.get("memory"))
    source = source_of(lin.graph, data, how.get("labels"), how.get("storage_options"))
    given, engine = _counts(how), how.get("engine", "auto")
    task = planned(
        lin,
        source,
        what=(asked[0],) if isinstance(asked[0], str) else tuple(asked[0]),
        rows=asked[1],
        chunk=given["chunk"],
        limit=given["limit"],
        dtype=how.get("dtype"),
        engine=engine,
        options=_options(how),
    )
    store = Store(out, how.get("storage_options"))
    require_shared(store, how)
    again = (bool(how.get("resume")), bool(how.get("overwrite")))
    return begun(store, task, given["chunk"], engine, resume=again[0], overwrite=again[1]), store


def require_shared(store: Store, how: How | Way) -> None:
    """Refuse a store that workers cannot see.

    Raises
    ------
    OptionError
    """
    several = how.get("scheduler") is not None or (how.get("workers") or 0) > 1
    if several and store.path.startswith(MEMORY):
        raise OptionError(
            f"{store.path!r} is in the memory of this process, and no worker sees it. Give a "
            "folder or the address of an object store, or workers=1."
        )


def _counts(how: How) -> dict[str, int | None]:
    found = {"chunk": how.get("chunk"), "limit": how.get("limit")}
    return {n: None if count is None else whole(n, count, 1) for n, count in found.items()}


def _options(how: How) -> dict[str, Any]:
    """What quantities are asked for, and what bears on the last bits."""
    maps = how.get("maps")
    found = {
        "maps": maps if maps is None else os.fspath(maps),
        "norm": how.get("norm"),
        "threads": how.get("threads"),
    }
    return {name: value for name, value in found.items() if value is not None}


def through(
    work: Work,
    how: How | Way,
    told: Callable[[Report], None],
    left: Callable[[], Sequence[int]],
) -> None:
    """Do all chunks that are left, and tell of each."""
    scheduler, workers = how.get("scheduler"), how.get("workers") or 0
    todo = left()
    if not todo:
        return
    if scheduler is None and workers < 2:
        work.through(todo, told)
        return
    on_cluster(
        work,
        todo,
        scheduler=scheduler,
        workers=min(workers, len(todo)),
        patience=how.get("patience") or PATIENCE,
        in_order=work.store is None,
        told=told,
        left=left,
    )


def summary(store: Store, task: Chunked, made: int, seconds: float) -> Summary:
    """Put the table together, and note what came of it all."""
    tasks = len(task.order.slices())
    if made or not table.is_joined(store):
        table.join(store, tasks)
    table.clear(store)
    failed = largest = 0.0
    for at in table.together(task.order.slices()):
        failed += int(store.read("failed", at).sum())
        largest = max(largest, float(np.nanmax(store.read("residual", at), initial=0.0)))
    store.note({"failed": int(failed), "residual": largest})
    return Summary(store.path, task.order.count, int(failed), made, seconds, largest)


class Bar:
    """How far a run is."""

    def __init__(self, total: int, progress: Progress | None, start: float) -> None:
        self.made = self.failed = self._before = 0
        self._total, self._progress, self._start = total, progress, start
        self._seen: set[int] = set()

    def begin(self, done: int) -> None:
        """Note how many samples are done already."""
        self._before, self._start = done, time.monotonic()

    def __call__(self, report: Report) -> None:
        """Count a chunk, the first time that it is told of."""
        if report.number in self._seen:
            return
        self._seen.add(report.number)
        self.made += report.samples
        self.failed += report.failed
        if self._progress is not None:
            taken = max(time.monotonic() - self._start, 1e-9)
            text = f"{self.made / taken:,.0f} maps/s"
            text += f", {self.failed:,} failed" if self.failed else ""
            self._progress(self._before + self.made, self._total, text)
