"""What the page says of the region: radius, steps and the units that bind, within a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import RegionError
from onnxlin.graph import Array
from onnxlin.readings.region import Exit, Region, obstacles
from onnxlin.readings.region.radius import CHUNK, DUAL, SWEEPS

ORDERS = {"l2": 2, "l1": 1, "linf": np.inf}
# Multiplications that a page may spend on radii (some seconds), on all steps, on the region at all.
RADII, STEPS, LARGEST = 4e9, 1e9, 1e11
# What a step of the program takes at least, however small: as long as so many of them.
EACH = 5_000
MOST_UNITS = 5
TOO_LARGE = "the model is too large to look for its region while a page is made"


@dataclass(frozen=True, eq=False)
class _Ray:
    """A direction, and where it leaves the region."""

    towards: int | None
    direction: Array
    met: Exit

    @property
    def ends(self) -> bool:
        """Whether it meets a guard at all."""
        return bool(np.isfinite(self.met.step))

    def length(self, norm: str) -> float:
        """Distance from x at which it does."""
        return float(self.met.step * np.linalg.norm(self.direction, ord=ORDERS[norm]))


def region(m: AffineMap, places: Sequence[int], sweeps: int | None = None) -> dict[str, Any]:
    """Describe the region of a map around x.

    Parameters
    ----------
    m : AffineMap
    places : sequence of int
        Positions of the rows on the page, the strongest first: a step is made towards each of the
        others, in the direction ``W_other - W_strongest`` in which it gains fastest.
    sweeps : int, optional
        Gradients to compute for each radius at most; by default as many as take some seconds, and
        none where that would not do. A radius that needs more is a pair of bounds.

    Returns
    -------
    dict
        "why_not" says why there is nothing else. Guards that x lies on ("ties") make every radius
        0; radii and steps are those beside them.

    Raises
    ------
    DetachedError
        The map was loaded from a file.
    """
    program = m.made_from("the region on a page").program
    work = program.nnz + EACH * max(len(program.steps), 1)
    if work > LARGEST and sweeps is None:
        return {"why_not": TOO_LARGE, "obstacles": [], "more": 0}
    try:
        found = Region(m)
    except RegionError:
        curved = obstacles(m)
        return {"why_not": "smooth", "obstacles": curved[:20], "more": len(curved[20:])}
    allowed = _affordable(work) if sweeps is None else sweeps
    others = places[1:] if work * len(places) <= STEPS else places[1:2]
    rays = [_Ray(at, way, found.step(way, ties=False)) for at, way in _ways(m, places[:1], others)]
    return {
        "why_not": None,
        "guards": found.guards,
        "ties": found.ties,
        "beyond": found.beyond,
        "sweeps": allowed,
        "radii": [_radius(found, norm, allowed, rays) for norm in DUAL],
        "steps": [_step(m, ray, places[0] if places else 0) for ray in rays],
    }


def _affordable(work: float) -> int:
    """As many gradients for each radius as the budget pays for; 0 if those are too few."""
    count = int(RADII / work / len(DUAL))
    return min(count, SWEEPS) if count >= CHUNK else 0


def _ways(
    m: AffineMap, strongest: Sequence[int], others: Sequence[int]
) -> Iterator[tuple[int | None, Array]]:
    """Directions: towards x = 0, and those in which other rows gain on the strongest fastest."""
    if m.x.any():
        yield None, -m.x
    for top in strongest:
        for other in others:
            way = m.W[other].astype(np.float64) - m.W[top].astype(np.float64)
            if size := float(np.linalg.norm(way)):
                yield other, way / size


def _step(m: AffineMap, ray: _Ray, top: int) -> dict[str, Any]:
    """Where a ray leaves the region, and where the row would draw level if W went on."""
    level = None
    if ray.towards is not None:
        f = m.Wx + m.b
        slope = float((m.W[ray.towards].astype(np.float64) - m.W[top]) @ ray.direction)
        level = float(f[top] - f[ray.towards]) / slope
    return {
        "towards": ray.towards,
        "share": ray.met.step if ray.towards is None else None,
        "length": ray.length("l2") if ray.ends else None,
        "level": level,
        "units": [str(unit) for unit in ray.met.units[:MOST_UNITS]],
        "together": len(ray.met.units),
    }


def _radius(found: Region, norm: str, sweeps: int, rays: Sequence[_Ray]) -> dict[str, Any]:
    """Distance to the border beside ties; what a ray meets is an upper bound as well."""
    nearest = min((r for r in rays if r.ends), key=lambda r: r.length(norm), default=None)
    lower, upper, exact, unit, done = 0.0, np.inf, False, None, 0
    if sweeps:
        searched = found.radius(norm, sweeps=sweeps, ties=False)
        lower, upper, exact = searched.lower, searched.upper, searched.exact
        unit, done = searched.unit, searched.sweeps
    if nearest is not None and not exact and nearest.length(norm) < upper:
        upper, unit = nearest.length(norm), nearest.met.units[0]
    return {
        "norm": norm,
        "lower": lower,
        "upper": float(upper),
        "exact": exact,
        "unit": None if unit is None else str(unit),
        "sweeps": done,
    }
