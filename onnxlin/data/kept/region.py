"""The linear region that x lies in."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.data.kept.variable import Layout, Variable
from onnxlin.readings.region import Region
from onnxlin.readings.region.radius import SWEEPS, certificate, radius_bytes, require_norm
from onnxlin.section.options import whole

NORM = "l2"


def has_all_rows(layout: Layout) -> bool:
    """Whether maps have all rows, so that the strongest is held against the others."""
    return layout.outputs > 1 and len(layout.rows or ()) == layout.outputs


def variables(layout: Layout, _stored: str) -> tuple[Variable, ...]:
    """Describe them; a radius is exact where ``region_lower`` is ``region_upper``."""
    about = "within it the strongest output stays so: the region, or the nearest decision in it"
    own = Variable("certificate", (), (), "float64", about)
    return (
        Variable("region_lower", (), (), "float64", "no wall of the region is nearer than that"),
        Variable("region_upper", (), (), "float64", "a wall is met there; inf if there is none"),
        Variable("region_exact", (), (), "uint8", "1 where the two are equal"),
        Variable("region_ties", (), (), "int64", "guards that x lies on: then the radius is 0"),
        Variable("region_key", (), (), "uint64", "first 8 bytes of the pattern's name"),
        *((own,) if has_all_rows(layout) else ()),
    )


def require(m: AffineMap, options: dict[str, Any]) -> None:
    """Raise what `of_map` would, and measure nothing: of a deep net that takes a while.

    Raises
    ------
    OptionError, RegionError
    """
    require_norm(options.get("norm", NORM))
    whole("sweeps", options.get("sweeps", SWEEPS), 1)
    Region(m)


def bytes_of(m: AffineMap) -> int:
    """Bytes that `of_map` takes beside the map.

    Raises
    ------
    RegionError
        It has none.
    """
    region = Region(m)
    return radius_bytes(region.program, region.walls)


def of_map(m: AffineMap, layout: Layout, options: dict[str, Any]) -> dict[str, Any]:
    """Measure the region of one map: see `onnxlin.readings.region.Region`.

    Raises
    ------
    RegionError
        It has none.
    """
    region = Region(m)
    found = region.radius(options.get("norm", NORM), sweeps=options.get("sweeps", SWEEPS))
    own = {"certificate": certificate(found, m).radius} if has_all_rows(layout) else {}
    return {
        **own,
        "region_lower": found.lower,
        "region_upper": found.upper,
        "region_exact": int(found.exact),
        "region_ties": region.ties,
        "region_key": np.uint64(int(region.key[:16], 16)),
    }
