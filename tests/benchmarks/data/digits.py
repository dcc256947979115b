"""As many digits as one likes, by repetition, in a store that is read a part at a time."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image

from onnxlin.graph import Array

FIXTURES = Path(__file__).parents[3] / "fixtures"
LENET = FIXTURES / "lenet5_mnist.onnx"
LABELLED = 28 * 28 + 1
PART = 1024


def some(file: Path | None) -> tuple[Array, Array]:
    """Digits ``(n, 1, 28, 28)`` of a comma-separated file, its labels last; else the fixtures'."""
    if file is None:
        found = [np.array(Image.open(FIXTURES / f"digit_{i}.png").convert("L")) for i in range(10)]
        return np.stack(found)[:, None].astype(np.uint8), np.arange(10)
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt") as stream:
        lines = np.loadtxt(stream, np.int64, delimiter=",").reshape(-1, LABELLED)
    shuffled = np.random.default_rng(0).permutation(len(lines))  # files are sorted by class
    pictures = lines[shuffled, :-1].astype(np.uint8).reshape(-1, 1, 28, 28)
    return pictures, lines[shuffled, -1]


def repeated(file: Path | None, count: int, out: Path) -> Path:
    """Write so many digits as zarr, the same ones again and again; no two parts are in memory."""
    import zarr

    pictures, labels = some(file)
    group = zarr.open_group(out, mode="w", zarr_format=3)
    part = min(PART, count)
    x = group.create_array(
        "x", shape=(count, 1, 28, 28), chunks=(part, 1, 28, 28), dtype="uint8",
    )  # fmt: skip
    for start in range(0, count, part):
        at = np.arange(start, min(start + part, count)) % len(pictures)
        x[start : start + part] = pictures[at]
    group.create_array("labels", data=labels[np.arange(count) % len(labels)])
    return out
