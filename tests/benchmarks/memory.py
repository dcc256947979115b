"""Peak memory, each contender in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import SkippedError, Work
from tests.benchmarks.tables import table

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_kib() -> int:
    """Largest resident memory since the start, or since `forget_peak`."""
    if STATUS.exists():
        line = next(t for t in STATUS.read_text().splitlines() if t.startswith("VmHWM"))
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> bool:
    """Start the peak anew at what is resident now, where the system lets us."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def measure(work: Work, make: Callable[[Work], Any]) -> dict[str, float | str | None]:
    """MiB above what the imports left: making and one call, then one more call."""
    known = forget_peak()
    before = peak_kib()
    try:
        job = make(work)
        size = job().nbytes
    except SkippedError as error:
        return {"skipped": str(error)}
    first, again = peak_kib() - before, None
    if known and forget_peak():
        job()
        again = (peak_kib() - before) / 2**10
    return {"W": size / 2**20, "first": first / 2**10, "again": again}


def in_child(options: list[str]) -> dict[str, Any]:
    """Measure in a fresh process; what it says on its last line."""
    command = [sys.executable, "-m", "tests.benchmarks", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return {"skipped": f"fails: {' '.join(done.stderr.splitlines()[-1:])}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory_table(found: list[tuple[str, int, str, dict[str, Any]]]) -> str:
    """One line for every contender that ran."""
    head = ("net", "rows", "contender", "W MiB", "model and first call MiB", "later calls MiB")
    lines = [
        (net, str(rows), name, *(_mib(sizes[key]) for key in ("W", "first", "again")))
        for net, rows, name, sizes in found
        if "skipped" not in sizes
    ]
    return table(head, lines)


def _mib(size: float | None) -> str:
    return "-" if size is None else f"{size:.1f}"
