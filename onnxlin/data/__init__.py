"""A whole data set: maps of every sample, a chunk at a time, into a store that people know.

From sources that are read in parts (`sources`), by tasks that may run twice (`task`), on this
machine or a cluster (`runner`), into zarr and parquet (`store`), opened with xarray (`opened`).
Readings of all of it (`readings`) go the same way, with a store or without. Several workers,
stores, zarr and parquet need the extra ``onnxlin[data]``.
"""

from onnxlin.data.blocks import map_blocks
from onnxlin.data.opened import open_results
from onnxlin.data.opened import open_results as open  # onnxlin.data.open(path)
from onnxlin.data.readings import Audited, audit, compare, evaluate, group
from onnxlin.data.runner import How, Summary, run
from onnxlin.data.source import Part, Source
from onnxlin.data.sources import open_source
from onnxlin.data.way import Way
from onnxlin.readings.compare.decisions import Decisions
from onnxlin.readings.data.overall import Overall

__all__ = [
    "Audited",
    "Decisions",
    "How",
    "Overall",
    "Part",
    "Source",
    "Summary",
    "Way",
    "audit",
    "compare",
    "evaluate",
    "group",
    "map_blocks",
    "open",
    "open_results",
    "open_source",
    "run",
]
