"""Make plane_7_3_0.png: the patch between a seven, a three and a zero, from the project's root."""

from __future__ import annotations

import numpy as np
from PIL import Image

import onnxlin
from onnxlin.plot import plane_partition
from onnxlin.readings.plane import partition

PATH = "docs/images/plane_7_3_0.png"


def digit(name: int) -> np.ndarray:
    """A picture of the fixtures as the net takes it."""
    pixels = np.asarray(Image.open(f"fixtures/digit_{name}.png").convert("L"), np.float32)
    return pixels.reshape(1, 1, 28, 28) / 255


if __name__ == "__main__":
    lin = onnxlin.Linearizer("fixtures/mlp2_mnist.onnx")
    plane = partition(lin, digit(7), digit(3), digit(0))
    plane_partition(
        plane,
        [str(i) for i in range(10)],
        title="mlp2_mnist",
        path=PATH,
        corners=("seven", "three", "zero"),
    )
    # Few colours make a small file.
    picture = Image.open(PATH).convert("RGB")
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(PATH, optimize=True)
