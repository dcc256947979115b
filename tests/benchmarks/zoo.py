"""Models as they come: the fixture LeNet, and SqueezeNet from the folder ONNXLIN_ZOO.

Needs no torch. The reference is onnxlin's own float64 map.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import onnxlin
from tests.benchmarks.contenders import ENGINES, both, runtime
from tests.benchmarks.memory import peak_kib
from tests.benchmarks.tables import FORWARD, Race, notes_list, times_table
from tests.benchmarks.timing import require_close, take_turns

FIXTURES = Path(__file__).parents[2] / "fixtures"
SQUEEZENET = Path(os.environ.get("ONNXLIN_ZOO", "nowhere")) / (
    "imagenet_squeezenet_fp32_from_fp16.onnx"
)
SQUEEZENET_OUTPUT = "pool10_1"


def forward(path: Path, x: Any, threads: int) -> Callable[[], Any]:
    session = runtime(path, threads)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})


def zoo_race(path: Path, output: str, x: Any, rows: int, *, rounds: int, threads: int) -> Race:
    """All engines on one file."""
    lin = onnxlin.Linearizer(os.fspath(path), outputs=output)
    reference = lin(x, rows=range(rows), engine="reverse", dtype="float64").W
    jobs: dict[str, Callable[[], Any]] = {FORWARD: forward(path, x, threads)}
    gaps, notes = {}, {}
    for engine in ENGINES:
        name, job = f"onnxlin {engine}", lambda e=engine: both(lin(x, rows=range(rows), engine=e))
        try:
            gaps[name] = require_close(job(), reference)
            jobs[name] = job
        except Exception as error:  # an engine that breaks must not end the run
            notes[name] = f"{type(error).__name__}: {error}"
    return Race(path.stem, rows, 0, take_turns(jobs, rounds), gaps, notes)


def photo() -> Any:
    """A seeded picture of smooth blobs: the time does not depend on what it shows."""
    coarse = np.random.default_rng(0).uniform(0, 255, (1, 3, 8, 8))
    return np.kron(coarse, np.ones((28, 28))).astype(np.float32) - 120


def whole_squeezenet(memory: str = "4GiB") -> None:
    """All 1000 rows in a process of their own, for its peak memory."""
    start = time.perf_counter()
    m = onnxlin.linearize(os.fspath(SQUEEZENET), photo(), outputs=SQUEEZENET_OUTPUT, memory=memory)
    shape = " x ".join(map(str, m.W.shape))
    seconds, peak = time.perf_counter() - start, peak_kib() / 2**20
    print(f"W {shape} {m.dtype}: {seconds:.1f} s, peak {peak:.2f} GiB, memory={memory}")
    print(f"largest residual {m.residual.max():.2g}, {m.plan}")


def zoo(rounds: int, threads: int) -> None:
    """Print the table of these models."""
    digit = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    lenet = FIXTURES / "lenet5_mnist.onnx"
    races = [zoo_race(lenet, "logits", digit, 10, rounds=rounds, threads=threads)]
    if SQUEEZENET.exists():
        races += [
            zoo_race(SQUEEZENET, SQUEEZENET_OUTPUT, photo(), rows, rounds=rounds, threads=threads)
            for rows in (1, 10)
        ]
    print(times_table(races), notes_list(races), sep="\n\n", flush=True)
    if SQUEEZENET.exists():
        subprocess.run([sys.executable, "-m", "tests.benchmarks", "--whole"], check=True)
