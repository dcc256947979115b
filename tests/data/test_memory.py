"""A worker's arrays are held to a part of the memory that it is given, however many samples."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.data.stores import LENET, with_kills

for package in ("zarr", "xarray", "pyarrow"):
    pytest.importorskip(package)

MEASURED = """
import json, sys
import numpy as np
from onnxlin import data
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
