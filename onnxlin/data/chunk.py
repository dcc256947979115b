"""A chunk of an array, as zarr 3 keeps it in a file: little-endian numbers, compressed if many.

The bytes are made here: on its way through zarr's own machinery a small array takes several times
as long, and is renamed before it is on the disk.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/core/, codecs "bytes" and "zstd".
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from onnxlin.data.extra import needed
from onnxlin.graph import Array

# Bytes of a chunk from which on compression pays: of less there is a call more, and no file less.
WORTH = 2**18
# Of zstd: it takes two thirds of the time that zarr's own level takes, and as few bytes.
# Contributions of digits come to a quarter, of noise to nine tenths.
LEVEL = 1


def compressors(chunks: tuple[int, ...], dtype: str, what: str) -> Any:
    """Return what an array of such chunks is to be created with; ``what`` needs zarr."""
    if prod(chunks) * np.dtype(dtype).itemsize < WORTH:
        return None
    return needed("zarr.codecs", what).ZstdCodec(level=LEVEL)


def encoded(array: Any, values: Array) -> Any:
    """Return the bytes of a chunk.

    Parameters
    ----------
    array : zarr.Array
        Created with `compressors`.
    values : array
        The last chunk may be a shorter one; its rest is filled up.
    """
    if values.shape != array.chunks:
        whole = np.full(array.chunks, array.fill_value, array.dtype)
        whole[tuple(map(slice, values.shape))] = values
        values = whole
    plain = np.ascontiguousarray(values, array.dtype.newbyteorder("<"))
    if array.compressors:
        return needed("numcodecs", "Compressing results").Zstd(level=LEVEL).encode(plain)
    return plain.data.cast("B")


class ByName(dict[str, Any]):
    """Arrays of a group, opened by their names: what lies beside them is not looked at."""

    def __init__(self, group: Any) -> None:
        super().__init__()
        self._group = group

    def __missing__(self, name: str) -> Any:
        found = self[name] = self._group[name]
        return found
