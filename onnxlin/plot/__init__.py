"""Pictures of what a map says; needs matplotlib, an extra."""

from onnxlin.plot.attribution import bars, heat_map, limit_of, series, smoothed
from onnxlin.plot.members import Panel, members

__all__ = ["Panel", "bars", "heat_map", "limit_of", "members", "series", "smoothed"]
