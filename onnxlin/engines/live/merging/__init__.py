"""Stretches near the input merged: what their last tensor sees is made once, for all rows of W."""

from onnxlin.engines.live.merging.local import KEPT
from onnxlin.engines.live.merging.merge import Merged, best, merged_in

__all__ = ["KEPT", "Merged", "best", "merged_in"]
