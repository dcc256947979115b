"""Maps a second of a run into a store, beside the same workers' that forget what they have found.

Both in turn, several times; timed from a quarter of a run's chunks to its end, since workers open
the model first.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np

import onnxlin
from onnxlin import data
from onnxlin.data.work import Report, Work
from onnxlin.graph import Array
from tests.benchmarks.data.digits import some
from tests.benchmarks.data.kept import NETS
from tests.benchmarks.tables import table

CHUNKS, TIMES = 40, 5


class Forgetful(Work):
    """Work that is done, and not kept."""

    def keep(self, report: Report) -> Report:
        """Say that it is."""
        return Report(report.number, report.samples, report.failed)


def stored_table(names: list[str], workers: list[int], samples: int, file: Path | None) -> None:
    """Print it."""
    lines = []
    for name in names:
        lin = onnxlin.Linearizer(NETS[name].path)
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "xs.npy", _samples(lin, samples * NETS[name].many, file))
            for count in workers:
                lines.append((name, str(count), *_both(lin, Path(folder), count)))
                print(lines[-1], flush=True)
    print(table(("net", "workers", "maps/s kept", "maps/s forgotten", "share"), lines))


def _samples(lin: onnxlin.Linearizer, count: int, file: Path | None) -> Array:
    (kind,) = lin.graph.inputs.values()
    shape = tuple(n if isinstance(n, int) else 1 for n in (kind.shape or ())[1:])
    if shape != (1, 28, 28):
        return np.random.default_rng(0).random((count, *shape), np.float32)
    pictures, _ = some(file)
    return pictures[np.arange(count) % len(pictures)].astype(np.float32) / 255


def _both(lin: onnxlin.Linearizer, folder: Path, workers: int) -> tuple[str, str, str]:
    kept, forgotten = [], []
    for _ in range(TIMES):
        kept.append(_speed(lin, folder, workers))
        with (
            patch("onnxlin.data.runner.Work", Forgetful),
            patch("onnxlin.data.runner.summary", lambda *_: None),
        ):
            forgotten.append(_speed(lin, folder, workers))
    share = median(a / b for a, b in zip(kept, forgotten, strict=True))
    return f"{median(kept):,.0f}", f"{median(forgotten):,.0f}", f"{share:.2f}"


def _speed(lin: onnxlin.Linearizer, folder: Path, workers: int) -> float:
    marks: list[tuple[int, float]] = []
    count = len(np.load(folder / "xs.npy", mmap_mode="r"))
    data.run(
        lin, folder / "xs.npy", folder / "made.zarr", overwrite=True, workers=workers,
        chunk=max(count // CHUNKS, 1),
        progress=lambda done, *_: marks.append((done, time.monotonic())),
    )  # fmt: skip
    (first, begun), (last, ended) = marks[len(marks) // 4], marks[-1]
    return (last - first) / (ended - begun)
