"""The linear region: the set of x' on which a map is the model."""

from onnxlin.readings.region.polytope import Ball, Polytope
from onnxlin.readings.region.radius import Certificate, Decision, Radius
from onnxlin.readings.region.region import Exit, Region, obstacles
from onnxlin.readings.region.search import Found, find_change
from onnxlin.readings.region.smooth import Drift, drift
from onnxlin.readings.region.walls import Unit

__all__ = [
    "Ball",
    "Certificate",
    "Decision",
    "Drift",
    "Exit",
    "Found",
    "Polytope",
    "Radius",
    "Region",
    "Unit",
    "drift",
    "find_change",
    "obstacles",
]
