"""What flips the decision: the nearest other input that a search found, for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.page.pack import pack
from onnxlin.readings.region import Found
from onnxlin.readings.row.parts import Part, seen

ORDERS = {"l2": 2, "l1": 1, "linf": np.inf}
LISTED = 8
NOTHING = (
    "the search found no input that the model decides otherwise; that does not say that there is "
    "none"
)


def described(m: AffineMap, found: Found | None, parts: Sequence[Part]) -> dict[str, Any]:
    """Say what a search found.

    Parameters
    ----------
    m : AffineMap
        At x.
    found : Found or None
        Of the same rows.
    parts : sequence of Part

    Returns
    -------
    dict
        "why_not" says why there is nothing else. Numbers of F at x are those of the model's run.
    """
    if found is None:
        return {"why_not": NOTHING}
    change, top = found.x - m.x, int(m.y.argmax())
    size = float(np.linalg.norm(m.x, ord=ORDERS[found.norm]))
    return {
        "why_not": None,
        "norm": found.norm,
        "distance": found.distance,
        "of_x": found.distance / size if size else None,
        "from": top,
        "to": found.row,
        "at_x": [float(m.y[top]), float(m.y[found.row])],
        "there": [float(found.y[top]), float(found.y[found.row])],
        "features": len(m.x),
        "changed": int(np.count_nonzero(change)),
        "outside": sum(_outside(m, found.x, part) for part in parts),
        "strongest": _strongest(m, change, parts),
    }


def drawn(m: AffineMap, found: Found, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Pack the change of every input, and where it is a picture, that of x' as it would be seen.

    "cut" counts levels of that picture beyond 0 to 255, which are drawn as 0 and 255.
    """
    change, made = found.x - m.x, []
    for part in parts:
        own: dict[str, Any] = {
            "tensor": part.tensor,
            "change": pack(np.asarray(change[part.columns], np.float32)),
            "pixels": None,
            "cut": 0,
        }
        if part.kind == "picture":
            levels = _levels_there(part, m.inputs[part.tensor], change[part.columns])
            if levels is not None:
                held = np.clip(levels, 0, 255)
                own["pixels"] = pack(np.rint(held).astype(np.uint8))
                own["cut"] = int(np.count_nonzero(held != levels))
        made.append(own)
    return made


def _outside(m: AffineMap, x: Array, part: Part) -> int:
    """Entries beyond the smallest and the largest that this input has at x."""
    own, there = m.x[part.columns], x[part.columns]
    if not own.size:
        return 0
    return int(np.count_nonzero((there < own.min()) | (there > own.max())))


def _strongest(m: AffineMap, change: Array, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The entries that change most: tokens by the length of their change."""
    found = []
    for part in parts:
        own = change[part.columns]
        sizes = np.abs(own)
        if part.kind == "tokens":
            sizes = np.linalg.norm(own.reshape(len(part.names), -1), axis=1)
        names = part.labels
        for i in np.argsort(-sizes, kind="stable")[:LISTED]:
            if sizes[i]:
                one: dict[str, Any] = {"name": names[i], "size": float(sizes[i])}
                if part.kind != "tokens":
                    at = float(m.x[part.columns][i])
                    one |= {"x": at, "there": at + float(own[i])}
                found.append(one)
    return sorted(found, key=lambda one: -one["size"])[:LISTED]


def _levels_there(part: Part, value: Array, change: Array) -> Array | None:
    """Levels of the picture of x', ``(height, width, channels)``, on the scale of that of x.

    None where nobody said how the pixels were prepared and their channels may differ in it, or x
    is all of one grey.
    """
    assert part.geometry is not None
    pixels = seen(part, value)
    planes, moved = (
        np.moveaxis(part.geometry.to_picture(v), 0, -1).astype(np.float64)
        for v in (value, change.reshape(value.shape))
    )
    if planes.shape != pixels.shape:
        return None
    if part.pixels is not None and part.prepared is not None:
        there: Array = pixels + part.prepared.undone(moved)
        return there
    if part.pixels is not None and pixels.shape[2] > 1:
        return None
    low, high = (np.unravel_index(i, planes.shape) for i in (planes.argmin(), planes.argmax()))
    if planes[low] == planes[high]:
        return None
    level = (float(pixels[high]) - float(pixels[low])) / (planes[high] - planes[low])
    return pixels + level * moved
