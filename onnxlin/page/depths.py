"""What the page says of the depths of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import OptionError
from onnxlin.page.pack import pack
from onnxlin.readings import depths
from onnxlin.readings.row.parts import Part
from onnxlin.readings.stream.listed import listed

# Multiplications of one more sweep of the rows on the page: some seconds.
MOST = 1e11


def depths_of(
    m: AffineMap, places: Sequence[int], parts: Sequence[Part], *, asked: bool
) -> dict[str, Any] | None:
    """Read a map at every depth; None where it has no stream, or is too large for nobody asked.

    Parameters
    ----------
    places : sequence of int
        Positions of the rows on the page.
    parts : tuple of Part
        How x is looked at: its tokens name the positions.
    asked : bool
        Whether it is to be read however large it is, and to raise where there is no stream.

    Raises
    ------
    DetachedError, ResidualError, OptionError
    """
    if not asked and m.made_from("depths on a page").program.nnz * len(places) > MOST:
        return None
    try:
        found = depths(m, np.array(places, np.int64))
    except OptionError:
        if asked:
            raise
        return None
    values = found.values.transpose(1, 0, 2).astype(np.float32)
    return {**listed(found, parts), "values": pack(np.ascontiguousarray(values))}
