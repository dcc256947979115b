"""Write the demonstration pages that compute: python docs/live_pages.py FOLDER (extra live).

Each is about 5 MB, so none is kept in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# Below the line by which they are found.
from onnxlin import Linearizer, page  # noqa: E402
from onnxlin.inputs import read_input  # noqa: E402

PAGES = {
    "mnist": ("lenet5_mnist.onnx", "digit_7.png"),
    "fashion_mnist": ("lenet5_fashion.onnx", "garment_ankle_boot.png"),
    "wine": ("gallery/wine.onnx", "gallery/wine.csv"),
    "beats": ("gallery/beats.onnx", "gallery/beats.npy"),
    "topics": ("gallery/topics.onnx", "gallery/topics.npy"),
}


def write(folder: Path) -> list[Path]:
    """Write all of them."""
    written = []
    for name, (model, source) in PAGES.items():
        path = ROOT / "fixtures" / model
        lin = Linearizer(path)
        given = read_input(ROOT / "fixtures" / source, lin.graph.inputs)
        ranges = None
        if name == "wine":
            with np.load(ROOT / "fixtures/gallery/wine_held_out.npz") as kept:
                table = kept["measurements"]
            ranges = [table.min(axis=0), table.max(axis=0)]
        written.append(folder / f"{name}.html")
        page.live(path, written[-1], given.feeds, names=given.names, ranges=ranges)
    return written


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
