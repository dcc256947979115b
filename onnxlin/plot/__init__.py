"""Pictures of what a map says; needs matplotlib, an extra."""

from onnxlin.plot.attribution import bars, heat_map, limit_of, series, smoothed
from onnxlin.plot.path import line_profile
from onnxlin.plot.plane import plane_partition

__all__ = ["bars", "heat_map", "limit_of", "line_profile", "plane_partition", "series", "smoothed"]
