"""Upsample and the first Resize, which had one way of reading coordinates, as the newest Resize."""

from __future__ import annotations

import numpy as np

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before


@before("Upsample", 7)
def upsample_by_height(draft: Draft, context: Context) -> None:
    """Height and width scales of an image became scales for every axis."""
    height = draft.attributes.pop("height_scale")
    width = draft.attributes.pop("width_scale")
    draft.attributes["scales"] = [1.0, 1.0, height, width]


@before("Upsample", 9)
def upsample_by_attribute(draft: Draft, context: Context) -> None:
    """Scales became an input."""
    scales = draft.attributes.pop("scales")
    draft.set_input(1, context.constant(f"{draft.name}:scales", scales, np.float32))


@before("Upsample", 10)
def upsample(draft: Draft, context: Context) -> None:
    """Resize took the place of Upsample; its scales were 1 or more, so nearest means floor."""
    draft.op_type = "Resize"
    draft.attributes["nearest_mode"] = "floor"


@before("Resize", 11)
def resize(draft: Draft, context: Context) -> list[Draft] | None:
    """Coordinates were divided by the scale, and rounded up where the image shrinks.

    The rounding is onnxruntime's reading of a specification that leaves it open.
    """
    mode = draft.attributes.get("mode", "nearest")
    # Version 1 of Upsample said bilinear, and exporters kept saying so.
    draft.attributes["mode"] = "linear" if mode in ("bilinear", "trilinear") else mode
    draft.attributes["coordinate_transformation_mode"] = "asymmetric"
    draft.inputs = [draft.inputs[0], "", draft.inputs[1]]
    if draft.attributes["mode"] == "nearest" and "nearest_mode" not in draft.attributes:
        return _rounded(draft, context)
    return None


def _rounded(draft: Draft, context: Context) -> list[Draft] | None:
    """Choose the rounding from the scales; grow first and shrink then where they are mixed."""
    scales = context.value(draft.inputs[2])
    if scales is not None and (bool((scales >= 1).all()) or bool((scales <= 1).all())):
        draft.attributes["nearest_mode"] = "floor" if bool((scales >= 1).all()) else "ceil"
        return None
    one = context.constant(f"{draft.name}:one", 1, np.float32)
    larger = context.helper(draft, "Max", [draft.inputs[2], one])
    smaller = context.helper(draft, "Min", [draft.inputs[2], one])
    grow = context.helper(draft, "Resize", [draft.inputs[0], "", larger.outputs[0]])
    grow.attributes = {**draft.attributes, "nearest_mode": "floor"}
    draft.attributes["nearest_mode"] = "ceil"
    draft.inputs = [grow.outputs[0], "", smaller.outputs[0]]
    return [larger, smaller, grow, draft]


@before("Resize", 13)
def resize_for_nearest(draft: Draft, context: Context) -> None:
    """The mode tf_half_pixel_for_nn, (x + 0.5) / scale, lies half a pixel beyond half_pixel."""
    key = "coordinate_transformation_mode"
    if draft.attributes.get(key) != "tf_half_pixel_for_nn":
        return
    mode = draft.attributes.get("mode", "nearest")
    if mode != "nearest" or draft.attributes.get("nearest_mode") != "floor":
        raise draft.refuse(
            f"{key}='tf_half_pixel_for_nn' exists no more, and only together with mode='nearest' "
            "and nearest_mode='floor' does another one mean the same."
        )
    # floor(u) = round_prefer_ceil(u - 0.5)
    draft.attributes |= {key: "half_pixel", "nearest_mode": "round_prefer_ceil"}
