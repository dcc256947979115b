"""``preprocessor_config.json``: what Hugging Face's image processors say of pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxlin.errors import InputError
from onnxlin.graph.regular import require_regular

FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters by number."""

UNKNOWN = ("do_pad", "do_flip_channel_order", "do_reduce_labels", "crop_pct", "do_thumbnail")
"""Switches that nothing here does; harmless where they are off."""


def read_processor(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the file of an image processor: what it says, as fields of `Preprocessing`.

    Parameters
    ----------
    path : path
        ``preprocessor_config.json``, or the folder that it is in.

    Raises
    ------
    InputError
        It is none, or asks for what is not done here.

    Source: transformers, ``image_processing_utils``: resize, centre crop, rescale, normalise.
    """
    file = Path(path)
    file = file / "preprocessor_config.json" if file.is_dir() else file
    require_regular(file, "preprocessing", InputError)
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(file)!r} is no readable JSON file: {error}.") from error
    if not isinstance(told, dict):
        raise InputError(f"{str(file)!r} is no JSON object, as preprocessor_config.json is one.")
    strange = [name for name in UNKNOWN if told.get(name)]
    if strange:
        raise InputError(
            f"{str(file)!r} asks for {strange}, which is not done here. Prepare the pictures with "
            "its own program, and give them as .npy."
        )
    return {**_formula(told), **_size(file, told), **_filter(file, told)}


def _formula(told: Mapping[str, Any]) -> dict[str, Any]:
    """Switches that are not there are on, where what they use is there."""
    scaled = told.get("do_rescale", True)
    found: dict[str, Any] = {"scale": told.get("rescale_factor", 1 / 255) if scaled else 1.0}
    if told.get("do_normalize", "image_mean" in told):
        found |= {"mean": told.get("image_mean", [0.0]), "std": told.get("image_std", [1.0])}
    return found


def _filter(file: Path, told: Mapping[str, Any]) -> dict[str, str]:
    number = told.get("resample", FILTERS.index("bilinear"))
    if number not in range(len(FILTERS)):
        raise InputError(f"{str(file)!r} has resample={number!r}; expected 0 to 5.")
    return {"resample": FILTERS[number]}


def _size(file: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    cut = _sides(file, told.get("crop_size", {})) if told.get("do_center_crop") else None
    whole = {} if cut is None else {"size": _both(file, cut)}
    if not told.get("do_resize", "size" in told):
        return {"resize": "none", **whole}
    size = told.get("size", {})
    # A bare number is the shorter side for processors that cut, and both sides for the others.
    size = size if isinstance(size, int) and cut is not None else _sides(file, size)
    if isinstance(size, int):
        return {"edge": size, "resize": "crop", **whole}
    if cut is None or cut == size:
        return {"resize": "fit", "size": list(size)}
    raise InputError(
        f"{str(file)!r} stretches to {size} and then cuts {cut}, which is not done here. Prepare "
        "the pictures with its own program, and give them as .npy."
    )


def _sides(file: Path, size: Any) -> int | tuple[int, int]:
    """The shorter edge, or height and width."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    raise InputError(
        f"{str(file)!r} has the size {size!r}; expected a number, height and width, or "
        "shortest_edge."
    )


def _both(file: Path, cut: int | tuple[int, int]) -> list[int]:
    if isinstance(cut, int):
        raise InputError(f"{str(file)!r} cuts to {cut}; expected height and width.")
    return list(cut)
