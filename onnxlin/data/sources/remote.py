"""An ``.npy`` in an object store, of which the bytes of some samples are asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from onnxlin import archives
from onnxlin.data.addresses import Options, RemoteFile
from onnxlin.data.sources.stacked import Lines
from onnxlin.errors import DataError, FileError, InputError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs.given import only

HEADER = 2**17
"""Bytes of the beginning, in which what stands before the numbers has its place."""


class RemoteArray(Lines):
    """One array, samples on axis 0; nothing of it is in memory but what is asked for.

    Parameters
    ----------
    address : str
    inputs : {input name: TensorType}
    options : dict, optional
        What fsspec is told beside the address.

    Raises
    ------
    InputError
    """

    def __init__(
        self, address: str, inputs: Mapping[str, TensorType], options: Options | None = None
    ) -> None:
        self.name = address
        self._input, _ = only(Path(address), inputs)
        self._file = RemoteFile(address, options)
        begin = io.BytesIO(self._file.read(0, min(HEADER, self._file.size)))
        try:
            order, self._shape, self._dtype, self._start = archives.begun(begin, self._file.size)
        except FileError as error:
            raise InputError(f"{address!r} is no readable file of arrays: {error}.") from error
        if not self._shape or (order == "F" and len(self._shape) > 1):
            raise InputError(
                f"{address!r} holds an array of shape {self._shape}, stored by columns or of a "
                "single number: samples cannot be read one by one. Store np.ascontiguousarray(x)."
            )

    def __len__(self) -> int:
        """Number of samples."""
        return self._shape[0]

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Some samples, once the object is known to be what it was."""
        self._file.require()
        start, stop, _ = at.indices(len(self))
        count = max(stop - start, 0)
        each = int(np.prod(self._shape[1:], dtype=np.int64)) * self._dtype.itemsize
        begin = self._start + start * each
        data = self._file.read(begin, begin + count * each)
        if len(data) != count * each:
            raise DataError(
                f"{self.name!r} gave {len(data):,} bytes where {count * each:,} were asked for."
            )
        found: Array = np.frombuffer(data, self._dtype).reshape(count, *self._shape[1:])
        return {self._input: found}

    @cached_property
    def digest(self) -> str:
        """Sum of the object's bytes."""
        return self._file.digest
