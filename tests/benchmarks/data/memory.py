"""Memory of a run and of its workers while it goes over 1,000 to 1,000,000 samples.

Read from outside: ``VmRSS`` and ``RssAnon`` of the command that runs, and of the largest worker.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.data.digits import LENET, repeated
from tests.benchmarks.tables import table

OFTEN = 1.0
"""Seconds between two looks."""


def curves(file: Path | None, counts: list[int], workers: int, out: Path | None) -> None:
    """Run over so many digits each, and print what was resident."""
    lines = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            xs = repeated(file, count, Path(folder) / "xs.zarr")
            looks = list(_looks(xs, Path(folder) / "made.zarr", workers))
            size = sum(f.stat().st_size for f in (Path(folder) / "made.zarr").rglob("*"))
            shutil.rmtree(xs)
        if out is not None:
            with out.open("a", encoding="utf-8") as stream:
                stream.writelines(
                    json.dumps({"count": count, "size": size, **look}) + "\n" for look in looks
                )
        lines.append(_line(count, looks, size))
    titles = ("samples", "seconds", "maps/s", "runner, MiB", "largest worker, MiB", "store, MiB")
    print(table(titles, lines))


def _line(count: int, looks: list[dict[str, Any]], size: int) -> tuple[str, ...]:
    seconds = looks[-1]["seconds"]
    runner, worker = (max(look[who] for look in looks) for who in ("runner", "worker"))
    return (
        f"{count:,}", f"{seconds:.0f}", f"{count / seconds:,.0f}", f"{runner / 2**20:.0f}",
        f"{worker / 2**20:.0f}", f"{size / 2**20:,.0f}",
    )  # fmt: skip


def _looks(xs: Path, out: Path, workers: int) -> Iterator[dict[str, Any]]:
    """Look at a run until it has ended."""
    words = ["run", LENET, xs, "--out", out, "--workers", workers, "--dtype", "float16", "--json"]
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "onnxlin", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        time.sleep(OFTEN)
        runner, children = resident(process.pid), _children(process.pid)
        if runner is None:
            break
        of_workers = [found for child in children if (found := resident(child))] or [(0, 0)]
        marks = out / "done" / "c"
        yield {
            "seconds": time.monotonic() - begun,
            "done": len(os.listdir(marks)) if marks.is_dir() else 0,
            "runner": runner[0],
            "runner_own": runner[1],
            "worker": max(found[0] for found in of_workers),
            "worker_own": max(found[1] for found in of_workers),
        }
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run over {xs} ended with {process.returncode}: {told!r}")


def resident(pid: int) -> tuple[int, int] | None:
    """Bytes of a process that are resident, and those of them that are no file's."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "VmRSS" not in fields:  # it has ended
        return None
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))  # type: ignore[return-value]


def _children(pid: int) -> list[int]:
    try:
        lists = [p.read_text("ascii") for p in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    found = [int(child) for text in lists for child in text.split()]
    return found + [grandchild for child in found for grandchild in _children(child)]
