"""Depths as plain data: what the command prints and the page draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxlin.readings.row.parts import Part
from onnxlin.readings.stream.depths import Depths, told


def listed(found: Depths, parts: Sequence[Part] = ()) -> dict[str, Any]:
    """Return depths as lists: under "values" a row, then a depth, then a position.

    Parameters
    ----------
    found : Depths
    parts : sequence of Part
        How x is looked at: its tokens name the positions.
    """
    last = max((place.layer for place in found.places), default=1) - 1
    return {
        "notes": list(found.notes),
        "depths": [{"tensor": depth.tensor, "label": depth.label} for depth in found.depths],
        "positions": positions(found, parts),
        "values": found.values.transpose(1, 0, 2).tolist(),
        "rest": found.rest.T.tolist(),
        "error": found.error.T.tolist(),
        "error_bound": found.error_bound.T.tolist(),
        "verdicts": [[str(v) for v in row] for row in zip(*found.verdicts, strict=True)],
        "places": [
            {"layer": place.layer, "kind": place.kind, "name": told(place, last)}
            for place in found.places
        ],
        "shares": [
            [float(share[i]) for share in found.places.values()] for i in range(len(found.y))
        ],
    }


def positions(found: Depths, parts: Sequence[Part] = ()) -> list[str]:
    """Name the positions: by the tokens there, or by their place."""
    count = found.values.shape[2]
    tokens = [part.names for part in parts if part.kind == "tokens"]
    return next((list(names) for names in tokens if len(names) == count), [*map(str, range(count))])
