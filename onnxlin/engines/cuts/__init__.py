"""Cut where the middle is narrow: sweep from there to the inputs, and multiply."""

from onnxlin.engines.cuts.find import Cut, cost_of, narrowest
from onnxlin.engines.cuts.halves import Halves, Sweeper

__all__ = ["Cut", "Halves", "Sweeper", "cost_of", "narrowest"]
