"""Whatever is killed, and whoever does the work: a run comes to one store, to the bit.

With ONNXLIN_KILLS=100 processes are killed so many times over one run, and in all of these tests;
without it one worker is killed once.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from onnxlin import data as runs
from onnxlin.data.store import Store
from onnxlin.errors import RunError
from tests.data.stores import (
    KILLS,
    LENET,
    PATIENCE,
    assert_same_stores,
    children,
    command,
    digits,
    kill_group,
    started,
    with_kills,
)

for package in ("zarr", "xarray", "distributed", "pyarrow"):
    pytest.importorskip(package)

# Loops and sockets of dask, which closes them in threads of its own.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="children are found by /proc"),
]
SAMPLES, CHUNK = 40 * max(KILLS, 6 if KILLS else 3), 8
FORKED = b"--multiprocessing-fork"
WHAT = "contributions,ledger"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A data set, and the store of one run over it in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    np.save(folder / "xs.npy", digits(SAMPLES))
    runs.run(LENET, folder / "xs.npy", folder / "made.zarr", tuple(WHAT.split(",")), chunk=CHUNK)
    return folder


def run_command(folder, out, *more):
    words = ("--out", out, "--what", WHAT, "--chunk", CHUNK, "--json", *more)
    return started(command("run", LENET, folder / "xs.npy", *words))


def finish(process) -> None:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (out, err)


def wait_for(store, process, share: float) -> None:
    """Wait until so much of a run is done, or until it is over."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(Exception):  # it is being made
            if Store(store).done().mean() >= share:
                return
        time.sleep(0.05)


@with_kills
def test_two_workers_make_what_one_process_makes(undisturbed, tmp_path) -> None:
    finish(run_command(undisturbed, tmp_path / "made.zarr", "--workers", 2))
    assert_same_stores(tmp_path / "made.zarr", undisturbed / "made.zarr")


@with_kills
def test_the_whole_group_is_killed_and_gone_on_with(undisturbed, tmp_path) -> None:
    store, chance = tmp_path / "made.zarr", random.Random(0)
    for kill in range(KILLS):
        process = run_command(undisturbed, store, "--resume", "--workers", kill % 2 + 1)
        wait_for(store, process, (kill + chance.random()) / (KILLS + 1))
        kill_group(process)
    finish(run_command(undisturbed, store, "--resume"))
    assert_same_stores(store, undisturbed / "made.zarr")


def workers_of(pid: int) -> list[int]:
    """Workers that a run has started; dask starts those again that are killed."""
    found = []
    for child in children(pid):
        with suppress(OSError):  # it has ended
            if FORKED in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def test_a_worker_is_killed(undisturbed, tmp_path) -> None:
    others, killed = workers_of(os.getpid()), []

    def kill(done, total, text):
        if done and not killed:
            killed.append(next(w for w in workers_of(os.getpid()) if w not in others))
            os.kill(killed[0], signal.SIGKILL)

    runs.run(
        LENET, undisturbed / "xs.npy", tmp_path / "made.zarr", tuple(WHAT.split(",")),
        chunk=CHUNK, workers=2, progress=kill,
    )  # fmt: skip
    assert killed
    assert_same_stores(tmp_path / "made.zarr", undisturbed / "made.zarr")


def test_workers_that_are_gone_for_good_end_a_run(undisturbed, tmp_path) -> None:
    """Nobody starts them again: it says so, and does not wait for ever."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as one:
        leave = lambda done, *_: one.scale(0) if done else None
        with pytest.raises(RunError, match=r"All workers are gone.* in 2 s .*--resume"):
            runs.run(
                LENET, undisturbed / "xs.npy", tmp_path / "made.zarr", tuple(WHAT.split(",")),
                chunk=1, scheduler=one.scheduler_address, patience=2, progress=leave,
            )  # fmt: skip
    left = runs.run(LENET, undisturbed / "xs.npy", tmp_path / "made.zarr", tuple(WHAT.split(",")),
                    resume=True).made  # fmt: skip
    assert 0 < left < SAMPLES


@with_kills
def test_workers_are_killed_at_random(undisturbed, tmp_path) -> None:
    store, chance, killed = tmp_path / "made.zarr", random.Random(1), 0
    process = run_command(undisturbed, store, "--workers", 2)
    for kill in range(KILLS):
        wait_for(store, process, (kill + chance.random()) / (KILLS + 1))
        workers = workers_of(process.pid)
        for pid in chance.sample(workers, min(1, len(workers))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    finish(process)
    assert killed
    assert_same_stores(store, undisturbed / "made.zarr")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def dask(*arguments: object):
    return started([sys.executable, "-m", "dask", *map(str, arguments)])


@with_kills
def test_a_scheduler_and_workers_of_their_own_are_killed(undisturbed, tmp_path) -> None:
    """Both are started as commands, killed one after the other, and started again."""
    store, port, chance = tmp_path / "made.zarr", free_port(), random.Random(2)
    address = f"tcp://127.0.0.1:{port}"
    words = ("--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show")

    def worker():
        return dask("worker", address, "--nthreads", 1, "--no-dashboard",
                    "--local-directory", tmp_path, "--death-timeout", PATIENCE)  # fmt: skip

    group = {"scheduler": dask("scheduler", *words), "one": worker(), "two": worker()}
    process = run_command(undisturbed, store, "--scheduler", address, "--patience", PATIENCE)
    try:
        for kill in range(KILLS):
            wait_for(store, process, (kill + chance.random()) / (KILLS + 1))
            name = ("one", "scheduler", "two")[kill % 3]
            kill_group(group[name])
            if name == "scheduler":  # its workers leave with it
                kill_group(group["one"])
                kill_group(group["two"])
                group = {name: dask("scheduler", *words), "one": worker(), "two": worker()}
            else:
                group[name] = worker()
        finish(process)
    finally:
        for each in (process, *group.values()):
            kill_group(each)
    assert_same_stores(store, undisturbed / "made.zarr")
