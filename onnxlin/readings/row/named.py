"""The strongest features of a row under the names that their inputs go by, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.readings.row import summary
from onnxlin.readings.row.parts import Part


def strongest(
    m: AffineMap, position: int, parts: tuple[Part, ...], values: Array, count: int
) -> list[dict[str, Any]]:
    """Return the strongest entries of x, or the strongest tokens, each the sum of its entries.

    Parameters
    ----------
    m : AffineMap
    position : int
        Of the row.
    parts : tuple of Part
        How the inputs of the map are looked at.
    values : array (n_in,)
        What each entry brings to the row.
    count : int
        How many to return at most; what brings nothing is left out.
    """
    if all(part.kind == "tokens" for part in parts):
        return _tokens(parts, values, count)
    part_of = {part.tensor: part for part in parts}
    return [
        {**asdict(feature), "name": _name(feature, part_of), **_pixel(feature, part_of)}
        for feature in summary.strongest_features(m, position, count, values)
    ]


def _tokens(parts: tuple[Part, ...], values: Array, count: int) -> list[dict[str, Any]]:
    """Add up what stands at one token: what is looked up by it, by its place, by its type."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for part in parts:
        for at, value in enumerate(part.grouped(values[part.columns])):
            place = {"of": part.told_by, "token": at, "name": part.names[at], "tensors": {}}
            shares = found.setdefault((part.told_by, at), place)["tensors"]
            shares[part.tensor] = float(value)
    listed = [{**one, "contribution": sum(one["tensors"].values())} for one in found.values()]
    listed = [one for one in listed if any(one["tensors"].values())]
    return sorted(listed, key=lambda token: -abs(token["contribution"]))[:count]


def _name(feature: summary.Feature, part_of: Mapping[str, Part]) -> str:
    names, index = part_of[feature.tensor].names, feature.index
    shape = part_of[feature.tensor].shape
    if names:
        return names[int(np.ravel_multi_index(index, shape))]
    # A batch axis of 1 says nothing.
    at = ",".join(str(i) for i in (index[1:] if len(index) > 1 and shape[0] == 1 else index))
    return f"{feature.tensor}[{at}]" if index else feature.tensor


def _pixel(feature: summary.Feature, part_of: Mapping[str, Part]) -> dict[str, int]:
    """Channel, row and column of a feature of a picture."""
    geometry = part_of[feature.tensor].geometry
    if geometry is None:
        return {}
    flat = int(np.ravel_multi_index(feature.index, geometry.shape))
    return dict(zip(("channel", "row", "column_of_picture"), geometry.place(flat), strict=True))
