"""Maps a second and bytes a sample of a run by one worker, for what is kept and by the model.

Timed from a run's first chunk to its last, of four: the model is open by then.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import onnxlin
from onnxlin import data
from tests.benchmarks.data.digits import LENET
from tests.benchmarks.tables import table

ZOO = Path(os.environ.get("ONNXLIN_ZOO", "nowhere"))


@dataclass(frozen=True)
class Net:
    """A model, and how many times as many samples as the largest takes."""

    path: Path
    many: int


NETS = {
    "lenet5": Net(LENET, 64),
    "resnet20": Net(ZOO / "cifar10_resnet20.onnx", 8),
    "squeezenet": Net(ZOO / "imagenet_squeezenet_fp32_from_fp16.onnx", 1),
}
KEPT = [
    ("contributions", "predicted", None),
    ("contributions", "predicted", "float16"),
    ("ledger", "predicted", None),
    ("region", "predicted", None),
    ("audit", "predicted", None),
    ("contributions,ledger,region", "predicted", None),
    ("W", "predicted", None),
    ("contributions", "all", None),
    ("W", "all", None),
]
MOST = 100
"""Rows of all outputs that are kept; of more it is told on paper what they would take."""


def kept_table(names: list[str], samples: int) -> None:
    """Print it."""
    lines = []
    for name in names:
        net = NETS[name]
        lin = onnxlin.Linearizer(net.path)
        ((end, kind),) = lin.graph.inputs.items()
        shape = tuple(n if isinstance(n, int) else 1 for n in (kind.shape or ())[1:])
        xs = np.random.default_rng(0).random((samples * net.many, *shape), np.float32)
        outputs = sum(value.size for value in lin.run({end: xs[:1]}).values())
        for what, rows, dtype in KEPT:
            shown = (name, what, rows, dtype or "")
            if rows == "all" and outputs > MOST:
                paper = 4 * outputs * int(np.prod(shape))
                lines.append((*shown, "", f"{paper:,} (on paper)"))
                continue
            speed, size = _run(lin, {end: xs}, what, rows, dtype)
            lines.append(
                (*shown, f"{speed:,.0f}" if speed > 20 else f"{speed:.1f}", f"{size:,.0f}")
            )
            print(lines[-1], flush=True)
    print(table(("net", "--what", "--rows", "--dtype", "maps/s", "bytes a sample"), lines))


def _run(
    lin: onnxlin.Linearizer, xs: dict[str, np.ndarray], what: str, rows: str, dtype: str | None
) -> tuple[float, float]:
    """Maps a second, and bytes of the store for each sample."""
    count = len(next(iter(xs.values())))
    marks: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        out, maps = Path(folder) / "made.zarr", None
        if what == "audit":  # of another's map: here of numbers without a meaning
            maps = Path(folder) / "maps.npy"
            np.save(maps, next(iter(xs.values()))[::-1])
        data.run(
            lin, xs, out, tuple(what.split(",")), rows, dtype=dtype, chunk=max(count // 4, 1),
            maps=maps, progress=lambda done, *_: marks.append((done, time.monotonic())),
        )  # fmt: skip
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    (first, begun), (last, ended) = marks[0], marks[-1]
    return (last - first) / (ended - begun), size / count
