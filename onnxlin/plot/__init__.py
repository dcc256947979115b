"""Pictures of what a map says; needs matplotlib, an extra."""

from onnxlin.plot.attribution import bars, heat_map, limit_of, series, smoothed

__all__ = ["bars", "heat_map", "limit_of", "series", "smoothed"]
