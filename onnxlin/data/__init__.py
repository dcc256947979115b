"""A whole data set: maps of every sample, a chunk at a time, into a store that people know.

From sources that are read in parts (`sources`), by tasks that may run twice (`task`), on this
machine or a cluster (`runner`), into zarr and parquet (`store`), opened with xarray (`opened`).
Needs the extra ``onnxlin[data]``.
"""
