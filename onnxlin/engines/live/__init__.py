"""The live engine: rows of W from those entries alone that any row can see, all rows at once."""

from onnxlin.engines.live.live import alive, estimate, live, seconds

__all__ = ["alive", "estimate", "live", "seconds"]
