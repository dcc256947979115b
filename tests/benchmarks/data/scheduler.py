"""How the overhead of a scheduler grows with its workers, by tasks that only sleep.

The workers are dask's own, many of them in each of a few processes, each with a connection of its
own to one scheduler, which is a process, too; chunks are sent as a run sends them
(`onnxlin.data.cluster`), in place of work each sleeps. What cannot be seen in this way: time on a
network, and workers that compete for the scheduler's own core, unless this machine has few of them.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from onnxlin.data.cluster import on_cluster
from onnxlin.data.work import Report
from tests.benchmarks.data.memory import resident
from tests.benchmarks.tables import table

HOST = """
import asyncio, logging, sys
import dask
from distributed import Worker
# What each worker looks at on a core of its own: its event loop (50 times a second), its process.
dask.config.set({
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1 hour",
    "distributed.admin.tick.cycle": "1 hour",
    "distributed.admin.system-monitor.interval": "1 hour",
})
async def serve(address, count):
    some = [Worker(address, nthreads=1, dashboard=False, memory_limit=0, silence_logs=logging.ERROR)
            for _ in range(count)]
    for start in range(0, count, 50):
        await asyncio.gather(*some[start : start + 50])
    await asyncio.gather(*(worker.finished() for worker in some))
asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
"""
EACH = 125
"""Workers of one process."""


class Sleeping:
    """Stands where a run's `Work` does: sleeps, and says that it is done."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.store = seconds, "there, but for nothing"
        self.task = SimpleNamespace(order=SimpleNamespace(digest="sleeping"))

    def fresh(self) -> Sleeping:
        """A copy for one thread of a worker."""
        return self

    def compute(self, number: int) -> Report:
        time.sleep(self.seconds)
        return Report(number, 1, 0)

    def keep(self, report: Report) -> Report:
        return report

    def size(self, number: int) -> int:
        return 1


def scheduler_table(counts: list[int], seconds: float, tasks: int) -> None:
    """Print tasks a second for so many workers, and what the scheduler takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    lines = []
    for count in counts:
        found = _measured(count, seconds, tasks * count)
        rate, ideal = found["rate"], count / seconds
        lines.append((
            f"{count:,}", f"{seconds:g}", f"{rate:,.0f}", f"{100 * rate / ideal:.0f} %",
            f"{1000 * found['cpu']:.2f}", f"{found['memory'] / 2**20:.0f}", f"{found['start']:.0f}",
        ))  # fmt: skip
        print(lines[-1], file=sys.stderr, flush=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    head = ("workers", "a task sleeps, s", "tasks/s", "of what sleeping allows",
            "scheduler's CPU a task, ms", "scheduler, MiB", "workers up after, s")  # fmt: skip
    print(table(head, lines))


def _measured(count: int, seconds: float, tasks: int) -> dict[str, float]:
    port = 18786
    words = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show")
    address = f"tcp://127.0.0.1:{port}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen([sys.executable, "-m", "dask", "scheduler", *words], **quiet)
    left, hosts = count, []
    try:
        begun = time.monotonic()
        while left > 0:
            some = min(left, EACH)
            hosts.append(
                subprocess.Popen([sys.executable, "-c", HOST, address, str(some)], **quiet)
            )
            left -= some
        import distributed

        with distributed.Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=300)
            start = time.monotonic() - begun
            return {"start": start, **_spread(address, scheduler.pid, seconds, count, tasks)}
    finally:
        for process in (*hosts, scheduler):
            process.kill()
            process.wait()


def _spread(address: str, pid: int, seconds: float, count: int, tasks: int) -> dict[str, float]:
    """Send tasks as a run does; timed from each worker's third task to its last but one."""
    work: Any = Sleeping(seconds)
    marks: list[tuple[float, float]] = []
    told: list[int] = []

    def tell(report: Report) -> None:
        told.append(report.number)
        if len(told) in (2 * count, tasks - count):
            marks.append((time.monotonic(), _cpu(pid)))

    on_cluster(
        work, range(tasks), scheduler=address, workers=0, patience=300, told=tell,
        left=lambda: sorted(set(range(tasks)) - set(told)),
    )  # fmt: skip
    assert sorted(told) == list(range(tasks))
    (begun, before), (ended, after) = marks
    found = resident(pid)
    return {
        "rate": (tasks - 3 * count) / (ended - begun),
        "cpu": (after - before) / (tasks - 3 * count),
        "memory": float(found[0] if found else 0),
    }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
