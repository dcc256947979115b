"""How many features a map will have, before it is made."""

from __future__ import annotations

from collections.abc import Mapping

from onnxlin.graph import Array
from onnxlin.linearizer.linearizer import Linearizer


def columns(lin: Linearizer, feeds: Mapping[str, Array]) -> int:
    """Count the columns that W will have at these feeds.

    Where the map starts at a hidden tensor the model is run for it: embeddings of tokens are far
    larger than what is fed. Where that cannot be told beforehand, the largest feed counts.
    """
    starts = lin.section.inputs
    known = feeds if {*starts} <= feeds.keys() else {**feeds, **lin.trace(feeds)}
    named = [known[name].size for name in starts if name in known]
    return int(sum(named) if named else max((value.size for value in feeds.values()), default=0))
