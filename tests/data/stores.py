"""Stores of results held against each other, and small runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
LENET = ROOT / "fixtures" / "lenet5_mnist.onnx"
PATIENCE = 180
KILLS = int(os.environ.get("ONNXLIN_KILLS", "0"))
"""How often processes are killed over one run; 0 where minutes are too long for a test."""
with_kills = pytest.mark.skipif(not KILLS, reason="ONNXLIN_KILLS=3, or 100, runs what takes long")


def digits(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 28, 28), np.float32)


def files_of(store: Path) -> dict[str, bytes]:
    """Every file of a store that outlasts a run, whatever it holds."""
    found = {}
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store).as_posix()
        assert not name.startswith("parts/"), "parts of the table are gone once it is whole"
        # What was being written when its writer was killed, beside the name that it was to have.
        if path.is_file() and not name.endswith((".partial", ".part")):
            found[name] = path.read_bytes()
    return found


def assert_same_stores(a: Path, b: Path) -> None:
    """To the bit."""
    ours, theirs = files_of(a), files_of(b)
    assert ours.keys() == theirs.keys()
    assert ours, "an empty folder is no store"
    for name, data in ours.items():
        assert data == theirs[name], f"{name} differs"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "onnxlin", *map(str, arguments)]


def started(arguments: list[str], **more) -> subprocess.Popen[bytes]:
    """Start a command as a group of its own, with one thread for BLAS."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen(
        arguments,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **more,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all that it has started: ``kill -9`` of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def children(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[1]) == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found
