"""A worker stays within the memory that it is given, however many samples and of whatever net."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import onnxlin
from onnxlin import data as runs
from onnxlin.data import room
from onnxlin.data.cluster import OURS
from onnxlin.engines.memory import hand_back
from onnxlin.errors import MemoryBudgetError
from tests.data.stores import LENET, digits, with_kills

for package in ("zarr", "xarray", "pyarrow"):
    pytest.importorskip(package)

MEASURED = """
import gc, json, sys
import numpy as np
from onnxlin import data
from onnxlin.engines.memory import WORTH_IT, hand_back
lenet, out = sys.argv[1:]
xs = np.random.default_rng(0).random((64, 1, 28, 28), np.float32)

class Digits(data.Source):
    digest = "digits"
    def __init__(self, count):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, at):
        return data.Part({"image": np.resize(xs, (at.stop - at.start, 1, 28, 28))})

def resident(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

def peak(count, memory):
    gc.collect()
    hand_back(WORTH_IT)  # what the run before has left free would hide what this one takes
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    data.run(lenet, Digits(count), out, memory=memory, overwrite=True)
    return resident("VmHWM") - before

peak(64, None)  # libraries, and what is opened once
print(json.dumps([peak(800, "64MiB"), peak(1600, "64MiB"), peak(1100, None)]))
"""


@with_kills
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="peaks are read from /proc")
def test_arrays_of_a_chunk_take_a_part_of_the_memory(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(LENET), str(tmp_path / "made.zarr")],
        capture_output=True,
        text=True,
        check=True,
    )
    some, twice, free = json.loads(done.stdout)
    assert some < 64 * 2**20 / 4
    assert twice < some + 2**22, "as much for twice as many samples"
    assert free > some + 2**22, "without a bound chunks are larger, or nothing is measured"


LIBRARIES = (
    "onnxlin.data", "onnxruntime", "scipy.sparse", "zarr.codecs", "zarr.storage", "numcodecs",
    "pyarrow.parquet", "distributed",
)  # fmt: skip
ZOO = Path(os.environ.get("ONNXLIN_ZOO", "nowhere"))


def status(name: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def begin() -> int:
    """In a worker: import what runs need, and look from here on; what is resident before."""
    for library in LIBRARIES:
        import_module(library)
    gc.collect()
    hand_back(2**30)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak() -> int:
    return status("VmHWM")


@pytest.fixture(scope="module")
def client():
    """Of a cluster of one worker, which can be started anew."""
    dask, distributed = (pytest.importorskip(name) for name in ("dask", "distributed"))
    with (
        warnings.catch_warnings(action="ignore"),
        dask.config.set(OURS),  # else it gives the worker up where that takes long to start again
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0",
            memory_limit=0,
        ) as cluster,
        distributed.Client(cluster) as made,
    ):  # fmt: skip
        yield made


def grown(client, folder, memory: str, asked: tuple) -> int:
    """Bytes that a worker has taken at most in a run, beyond those that it began with."""
    net, xs, rows, what = asked
    client.restart()
    (before,) = client.run(begin).values()
    np.save(folder / "xs.npy", xs)
    runs.run(
        net, folder / "xs.npy", folder / "made.zarr", what, rows, memory=memory, overwrite=True,
        scheduler=client.scheduler.address,
    )  # fmt: skip
    (after,) = client.run(peak).values()
    return after - before


def smallest(folder, asked: tuple) -> int:
    """The memory that a run says would do, where it is given none to speak of: in MiB."""
    net, xs, rows, what = asked
    with pytest.raises(MemoryBudgetError, match="Raise memory=") as refused:
        runs.run(net, xs[:2], folder / "none.zarr", what, rows, memory="1MiB")
    assert not (folder / "none.zarr").exists()
    assert refused.value.need is not None
    return -(-refused.value.need // 2**20)


def random(net: Path, count: int) -> np.ndarray:
    (kind,) = onnxlin.Linearizer(net).graph.inputs.values()
    return np.random.default_rng(0).random((count, *kind.shape[1:]), np.float32)


def assert_held(client, folder, *asked, times: tuple = (1, 2)) -> None:
    least = smallest(folder, asked)
    for memory in (k * least for k in times):
        found = grown(client, folder, f"{memory}MiB", asked)
        print(*asked[2:], memory, "MiB given,", found >> 20, "taken")
        assert found <= memory * 2**20


watched = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="peaks are read from /proc")


@watched
@pytest.mark.filterwarnings("ignore")  # dask closes loops and sockets in threads of its own
def test_a_worker_stays_within_the_least_that_will_do(client, tmp_path) -> None:
    what = ("contributions", "ledger")
    assert_held(client, tmp_path, LENET, digits(200), "predicted", what, times=(1,))


@with_kills
@watched
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "case",
    [
        ("lenet5_mnist", 300, "all", "contributions,W"),
        ("lenet5_mnist", 40, "predicted", "region"),
        ("cifar10_resnet20", 40, "all", "contributions"),
        ("cifar10_resnet20", 6, "predicted", "region"),
        ("imagenet_squeezenet_fp32_from_fp16", 24, "predicted", "contributions,ledger"),
        ("imagenet_squeezenet_fp32_from_fp16", 12, (1, 2, 3, 4, 5), "contributions"),
    ],
)
def test_workers_stay_within_their_memory(client, tmp_path, case) -> None:
    net, count, rows, what = case
    places = (folder / f"{net}.onnx" for folder in (LENET.parent, ZOO))
    path = next((place for place in places if place.exists()), None)
    if path is None:
        pytest.skip("ONNXLIN_ZOO has the larger nets")
    assert_held(client, tmp_path, path, random(path, count), rows, tuple(what.split(",")))


def test_a_chunk_that_does_not_fit_is_refused(tmp_path) -> None:
    with pytest.raises(MemoryBudgetError, match=r"the arrays of 64 samples .* a smaller chunk"):
        runs.run(LENET, digits(64), tmp_path / "made.zarr", rows="all", chunk=64, memory="36MiB")
    runs.run(LENET, digits(64), tmp_path / "made.zarr", rows="all", memory="36MiB")


def test_what_is_shared_out_is_no_more_than_there_is() -> None:
    for total in range(2**25, 2**28, 2**23):
        found = room.Room(total, run=2**23, one=2**19)
        assert room.LIBRARIES + found.run + found.maps + found.arrays <= max(
            total, room.LIBRARIES + found.run + found.one + 1
        )
