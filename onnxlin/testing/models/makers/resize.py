"""Resize, in the forms that onnxruntime has kernels for."""

from __future__ import annotations

from typing import Any

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import maker

COORDINATES = (
    "half_pixel",
    "asymmetric",
    "align_corners",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def images(shape: Shape) -> bool:
    """Whether a shape is a batch of images of at least one pixel."""
    return len(shape) == 4 and min(shape) > 0


@maker("Resize")
def resize(g: Grow, op_type: str) -> None:
    x = g.pick(4, 4, images)
    n, c, h, w = g.shape(x)
    mode = g.choice("nearest", "linear", "cubic")
    coordinates = g.choice(*COORDINATES[: 5 if g.opset >= 19 else 4])
    given: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        given |= g.some(nearest_mode=g.choice(*NEAREST))
    if mode == "cubic":
        given |= g.some(cubic_coeff_a=-0.5, exclude_outside=1)
    if mode != "nearest" and g.opset >= 18:
        given |= g.some(antialias=1)
    factors = [g.choice(2.0, 0.5, 1.0, 1.5, 0.75) for _ in (h, w)]
    sizes = [max(int(n * f), 1) for n, f in zip((h, w), factors, strict=True)]
    if g.flag():
        g.add(op_type, [x, "", "", g.ints([n, c, *sizes])], **given)
    elif all(int(n * f) for n, f in zip((h, w), factors, strict=True)):
        g.add(op_type, [x, "", g.floats([1, 1, *factors])], **given)
