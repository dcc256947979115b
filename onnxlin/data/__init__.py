"""A whole data set: maps of every sample, a chunk at a time, into a store that people know.

From sources that are read in parts (`sources`), by tasks that may run twice (`task`), on this
machine or a cluster (`runner`), into zarr and parquet (`store`), opened with xarray (`opened`).
Needs the extra ``onnxlin[data]``.
"""

from onnxlin.data.blocks import map_blocks
from onnxlin.data.opened import open_results
from onnxlin.data.opened import open_results as open  # onnxlin.data.open(path)
from onnxlin.data.runner import How, Summary, run
from onnxlin.data.source import Part, Source
from onnxlin.data.sources import open_source

__all__ = [
    "How",
    "Part",
    "Source",
    "Summary",
    "map_blocks",
    "open",
    "open_results",
    "open_source",
    "run",
]
