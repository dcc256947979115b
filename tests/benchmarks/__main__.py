"""Print a table of times, ratios and memory: ``python -m tests.benchmarks``.

SqueezeNet is read from the folder that ONNXLIN_ZOO names, and left out without it; torch is timed
where it is installed. Every pair is timed in turn in one run, after a warm-up, results compared
first.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime

import onnxlin
from tests.benchmarks.torch_twin import torch_twin

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures"
ZOO = pathlib.Path(os.environ.get("ONNXLIN_ZOO", "nowhere"))
SQUEEZENET = ZOO / "imagenet_squeezenet_fp32_from_fp16.onnx"
RUNS = 9


def alternate(jobs: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Time jobs in turn, so that all see the same drift of the machine: milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(RUNS):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append((time.perf_counter() - start) * 1e3)
            time.sleep(0.3)  # idle threads of the other library spin for a while
    return times


def ort_forward(path: pathlib.Path, x: Any) -> Callable[[], Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    known = {t.name for t in onnx.load(path).graph.initializer}
    name = next(i.name for i in session.get_inputs() if i.name not in known)
    return lambda: session.run(None, {name: x})


def torch_rows(model: onnx.ModelProto, output: str, x: Any, rows: int) -> Callable[[], Any]:
    import torch

    net, leaf = torch_twin(model, output), torch.from_numpy(x).requires_grad_()

    def gradients() -> Any:
        y = net(leaf).reshape(-1)
        found = [torch.autograd.grad(y[i], leaf, retain_graph=True)[0] for i in range(rows)]
        return torch.stack(found).reshape(rows, -1).numpy()

    return gradients


def compare(path: pathlib.Path, output: str, x: Any, rows: int, *engines: str) -> None:
    lin = onnxlin.Linearizer(os.fspath(path), outputs=output)
    jobs: dict[str, Callable[[], Any]] = {"onnxruntime forward pass": ort_forward(path, x)}
    for engine in engines:
        for dtype in ("float32", "float64"):
            jobs[f"onnxlin {engine} {dtype}"] = lambda e=engine, d=dtype: (
                lin(x, rows=range(rows), engine=e, dtype=d).W
            )
    if importlib.util.find_spec("torch"):
        jobs["torch forward + backward float32"] = torch_rows(onnx.load(path), output, x, rows)
    reference = lin(x, rows=range(rows), dtype="float64").W
    for name, job in jobs.items():
        if "pass" not in name:
            np.testing.assert_allclose(job(), reference, atol=1e-3 * np.abs(reference).max())
    times = alternate(jobs)
    floor = statistics.median(times["onnxruntime forward pass"])
    for name, found in times.items():
        middle = statistics.median(found)
        spread = f"{min(found):.1f} - {max(found):.1f}"
        shape = f"{rows} x {x.size}"
        print(
            f"| {path.stem} | {shape} | {name} | {middle:.1f} | {spread} | {middle / floor:.1f} |"
        )


def whole_squeezenet(memory: str) -> None:
    """All 1000 rows in a process of their own, for its peak memory."""
    x = photo()
    start = time.perf_counter()
    m = onnxlin.linearize(os.fspath(SQUEEZENET), x, outputs="pool10_1", memory=memory)
    shape = " x ".join(map(str, m.W.shape))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"W {shape} {m.dtype}: {seconds:.1f} s, peak {peak:.2f} GiB, memory={memory}")
    print(f"largest residual {m.residual.max():.2g}, {m.plan}")


def photo() -> Any:
    """A seeded picture of smooth blobs: the time does not depend on what it shows."""
    coarse = np.random.default_rng(0).uniform(0, 255, (1, 3, 8, 8))
    return np.kron(coarse, np.ones((28, 28))).astype(np.float32) - 120


def main() -> None:
    if sys.argv[1:] == ["--whole"]:
        whole_squeezenet("4GiB")
        return
    versions = f"NumPy {np.__version__}, onnxruntime {onnxruntime.__version__}"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, {versions}\n")
    print("| model | W | what | median ms | range | x forward |")
    print("|---|---|---|---|---|---|")
    digit = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    compare(FIXTURES / "lenet5_mnist.onnx", "logits", digit, 10, "explicit", "reverse")
    if SQUEEZENET.exists():
        compare(SQUEEZENET, "pool10_1", photo(), 1, "reverse")
        compare(SQUEEZENET, "pool10_1", photo(), 10, "reverse")
        print()
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "tests.benchmarks", "--whole"], check=True)


main()
