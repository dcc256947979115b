"""Chunks on workers of dask.distributed: of this machine, or of any cluster by its address."""

from __future__ import annotations

import logging
import queue
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from onnxlin.data.extra import needed
from onnxlin.data.work import Hands, Report, Work
from onnxlin.errors import OnnxlinError, RunError
from onnxlin.texts import counted

WHAT = "Working on several processes"
# Tasks that are sent ahead to each thread: one at work, one that waits for it, and where there is a
# store one that is being written.
AHEAD, WRITTEN = 2, 1
# Times as many chunks as are under way that may be done before the first of them.
EARLY = 2
# Times that a chunk may take its worker along with it, beyond what dask itself tries.
TRIES = 5
# Seconds: in which an answer has to come, and in which a scheduler has to take a connection.
PATIENCE, CONNECT = 60.0, 10.0
# Dask's own: a profile of every second is kept for an hour, a quarter of a MiB each.
# And it gives up a worker of its own that has died and is not back within 15 s, for good: on a
# machine at work it takes longer to start.
OURS = {
    "distributed.scheduler.allowed-failures": 3,
    "distributed.worker.profile.enabled": False,
    "distributed.deploy.lost-worker-timeout": "1 hour",
}
OVER = ("finished", "error", "cancelled")
"""States of a future that will not change by itself."""
OFTEN = 1.0
"""Seconds between two looks at the workers, and at a scheduler that is lost."""


def on_cluster(
    work: Work,
    todo: Sequence[int],
    *,
    scheduler: str | None,
    workers: int,
    patience: float,
    told: Callable[[Report], None],
    left: Callable[[], Sequence[int]],
    in_order: bool = False,
) -> None:
    """Do chunks on a cluster, and tell of each that is done.

    Parameters
    ----------
    scheduler : str, optional
        Address of a cluster that runs; without it one of ``workers`` processes is started here.
    patience : float
        Seconds in which workers have to come, or a scheduler that is lost has to be back.
    left : callable
        Asks the store which chunks are not done, once the scheduler has been lost.
    in_order : bool
        Whether ``told`` keeps what comes before its turn: then no chunk is sent far ahead of the
        first that is not done.

    Raises
    ------
    OnnxlinError
        A chunk's own, such as a full disk.
    RunError
        Workers die at some chunk again and again, or the scheduler does not come back.
    """
    distributed = needed("distributed", WHAT)
    hands = Hands(work)
    tries = Counter[int]()
    with _address(distributed, scheduler, workers) as address:
        lost_at: float | None = None
        while todo:
            try:
                with _client(distributed, address, min(patience, CONNECT)) as client:
                    spread = _Spread(distributed, client, hands, tries, patience)
                    spread.in_order = in_order
                    spread(todo, told)
                return
            except _LostError as error:
                now = time.monotonic()
                before = len(todo)
                todo = left()
                lost_at = now if lost_at is None or len(todo) < before else lost_at
                if now - lost_at > patience:
                    raise RunError(
                        f"The scheduler at {address} is lost, and was not back in "
                        f"{patience:.0f} s ({error}). {counted(len(todo), 'chunk')} left: run "
                        "it again with resume=True (--resume)."
                    ) from error
                time.sleep(OFTEN)


class _LostError(Exception):
    """The scheduler is gone, with all that it knew."""


@contextmanager
def _address(distributed: Any, scheduler: str | None, workers: int) -> Iterator[str]:
    """Start a cluster of this machine, unless there is one."""
    if scheduler is not None:
        yield scheduler
        return
    with needed("dask", WHAT).config.set(OURS):
        with warnings.catch_warnings():
            # A folder for what workers have no room for is slow to be made on a machine at work.
            warnings.filterwarnings("ignore", "Creating scratch directories")
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        with cluster:
            yield cluster.scheduler_address


@contextmanager
def _client(distributed: Any, address: str, timeout: float) -> Iterator[Any]:
    try:
        client = distributed.Client(address, timeout=timeout, set_as_default=False)
    except OSError as error:
        raise _LostError(str(error)) from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=5)


class _Spread:
    """Chunks that are at work on a cluster: as many as its threads need, and no more."""

    def __init__(
        self, distributed: Any, client: Any, hands: Hands, tries: Counter[int], patience: float
    ) -> None:
        self._distributed, self._client = distributed, client
        self._hands, self._name, self._tries = hands, hands.name, tries
        self._patience = patience
        self._flying: dict[Any, int] = {}
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._again = (distributed.scheduler.KilledWorker, KeyError)
        self._asked, self._threads, self.in_order = 0.0, 0, False
        self._there = time.monotonic()
        self._ask(lambda: client.register_plugin(plugin(hands, self._name), name=self._name))

    def __call__(self, todo: Sequence[int], told: Callable[[Report], None]) -> None:
        """Do them."""
        waiting = deque(todo)
        try:
            self._wait()
            self._there = time.monotonic()
            while waiting or self._flying:
                while waiting and self._may_send(waiting[0]):
                    self._send(waiting.popleft())
                for future, report in self._answers(self._landed()):
                    number = self._flying.pop(future)
                    if report is None:
                        # Those after it may wait for it; where none does, they come first.
                        (waiting.appendleft if self.in_order else waiting.append)(number)
                    else:
                        told(report)
        finally:
            for future in self._flying:
                future.cancel()
            # Open models would stay with workers that outlive the run.
            if self._client.status == "running":
                with suppress(OSError, TimeoutError, ValueError, self._distributed.CancelledError):
                    self._client.unregister_worker_plugin(self._name)

    def _wait(self) -> None:
        """Wait for the first worker."""
        try:
            self._client.wait_for_workers(1, timeout=self._patience)
        except (OSError, TimeoutError, self._distributed.CancelledError) as error:
            if self._client.status == "running":  # so the scheduler is there
                raise self._deserted() from error
            raise _LostError(f"{type(error).__name__} {error}") from error

    def _deserted(self) -> RunError:
        return RunError(
            f"All workers are gone, and none has come in {self._patience:.0f} s (patience=, "
            "--patience). What is done is kept: run it again with resume=True (--resume)."
        )

    def _may_send(self, number: int) -> bool:
        """Whether there is room for one more, and it does not come much too early."""
        room = self._room()
        early = self.in_order and number - min(self._flying.values(), default=number) > EARLY * room
        return len(self._flying) < room and not early

    def _send(self, number: int) -> None:
        key = f"{self._name}-{number}-{self._tries[number]}-{time.monotonic_ns()}"
        future = self._client.submit(step, self._name, number, key=key, pure=False, retries=0)
        self._flying[future] = number
        future.add_done_callback(self._arrived.put)

    def _room(self) -> int:
        """How many chunks to have under way; workers come and go."""
        now = time.monotonic()
        if now - self._asked > OFTEN:
            self._threads = sum(self._ask(self._client.nthreads).values())
            self._asked = now
            self._there = now if self._threads else self._there
            if now - self._there > self._patience:
                raise self._deserted()
        return (AHEAD + WRITTEN * self._hands.writes) * max(self._threads, 1)

    def _landed(self) -> list[Any]:
        """Futures that are over; if nothing comes, look whether the scheduler is there."""
        self._room()
        try:
            found = {self._arrived.get(timeout=OFTEN)}
            with suppress(queue.Empty):
                while True:
                    found.add(self._arrived.get_nowait())
        except queue.Empty:
            found = {f for f in self._flying if f.status in OVER}
            if not found and self._client.status != "running":
                raise _LostError(f"client {self._client.status}") from None
        return [future for future in found if future in self._flying]

    def _answers(self, landed: Sequence[Any]) -> Iterator[tuple[Any, Report | None]]:
        """What chunks came to; None where one is to be done again.

        All at once: each way to the scheduler and to a worker takes as long as that of many.
        """
        failed = [future for future in landed if future.status == "error"]
        for future in failed:
            self._count_failure(future, self._flying[future])
            yield future, None
        fine = []
        for future in landed:
            if future.status == "finished" and future.type is type(None):
                yield future, self._hands.expected(self._flying[future])
            elif future.status in ("finished", "cancelled"):
                # One that is lost with its worker the scheduler does again.
                fine.append(future)
        if not fine:
            return
        gather = partial(self._client.gather, fine, asynchronous=True)
        try:
            # Of a task that was cancelled the answer is an error that says why.
            reports = self._ask(lambda: self._client.sync(gather, callback_timeout=PATIENCE))
        except self._again:
            return  # a worker has died with its answer, and others that did it again: see OVER
        yield from zip(fine, reports, strict=True)

    def _count_failure(self, future: Any, number: int) -> None:
        """Raise what a chunk ended with, unless it may be done again."""
        error = self._ask(lambda: future.exception(timeout=PATIENCE))
        if not isinstance(error, self._again):
            if isinstance(error, OnnxlinError):
                raise error
            raise RunError(f"Chunk {number} ended with {type(error).__name__}: {error}") from error
        self._tries[number] += 1
        if self._tries[number] > TRIES:
            raise RunError(
                f"Workers have died {TRIES + 1} times over chunk {number}. Is there enough memory "
                "for so many workers? The rest is kept: run it again with resume=True (--resume)."
            ) from error

    def _ask(self, what: Callable[[], Any]) -> Any:
        """Ask the scheduler."""
        try:
            return what()
        except (OSError, TimeoutError, self._distributed.CancelledError) as error:
            raise _LostError(f"{type(error).__name__} {error}") from error


def plugin(hands: Hands, name: str) -> Any:
    """Make what every worker is given once, whenever it comes."""
    base: Any = needed("distributed", WHAT).WorkerPlugin
    made = type("OnnxlinWork", (base,), {"name": name, "idempotent": True})()
    made.hands = hands
    return made


def step(name: str, number: int) -> Report | None:
    """Do one chunk, on a worker."""
    distributed = needed("distributed", WHAT)
    hands: Hands = distributed.get_worker().plugins[name].hands
    return hands(number, distributed.secede)
