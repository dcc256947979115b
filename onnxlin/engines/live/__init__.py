"""The live engine: rows of W from those entries alone that any row can see, all rows at once."""

from onnxlin.engines.live.live import estimate, live, seconds

__all__ = ["estimate", "live", "seconds"]
