"""What the page says of hidden tensors that have places of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.page.depths import MOST
from onnxlin.page.pack import pack
from onnxlin.readings import hidden_maps
from onnxlin.readings.row.parts import Part
from onnxlin.readings.stream.grids import choose_grids, find_grids, spread
from onnxlin.readings.stream.hidden import listed

SEVERAL = 6
"""Tensors on a page where nobody names any."""


def hidden_of(
    m: AffineMap, places: Sequence[int], parts: Sequence[Part], asked: Sequence[str]
) -> dict[str, Any] | None:
    """Read a map at hidden tensors, each as a coarse picture that lies over x.

    Parameters
    ----------
    places : sequence of int
        Positions of the rows on the page.
    parts : sequence of Part
        How x is looked at: there must be one picture.
    asked : sequence of str
        Names, "last" or "all", which are read however large the model is; else some are chosen.

    Returns
    -------
    dict or None
        None where x is no picture, no tensor is as coarse as it, or the model is too large for
        nobody asked. Tensors with more places than the picture has pixels are left out.

    Raises
    ------
    DetachedError, OptionError, ResidualError
    """
    pictures = [part.geometry for part in parts if part.kind == "picture"]
    if len(pictures) != 1 or pictures[0] is None:
        return None
    program, shown = m.made_from("hidden tensors on a page").program, pictures[0]
    if asked:
        grids = choose_grids(program, asked)
    elif program.nnz * len(places) > MOST:
        return None
    else:
        grids = spread(program, find_grids(program), SEVERAL)
    names = [
        grid.tensor
        for grid in grids
        if grid.tensor not in program.inputs
        and grid.height <= shown.height
        and grid.width <= shown.width
    ]
    found = hidden_maps(m, np.array(places, np.int64), names)
    maps = [
        {**listed(one), "values": pack(np.ascontiguousarray(one.values, np.float32))}
        for one in found
    ]
    return {"maps": maps, "open": 0 if asked else -1} if maps else None
