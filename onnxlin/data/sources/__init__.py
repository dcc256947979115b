"""Data sets that are read a part at a time: files of arrays, zarr, pictures, tables."""

from onnxlin.data.sources.opening import open_source

__all__ = ["open_source"]
