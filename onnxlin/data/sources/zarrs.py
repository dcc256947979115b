"""Arrays of a zarr store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from onnxlin.data.extra import needed
from onnxlin.data.sources.stacked import LABELS, Lines, inputs_of
from onnxlin.errors import DataError, InputError
from onnxlin.graph import Array, TensorType

BROKEN = (OSError, ValueError, KeyError)


class Zarr(Lines):
    """An array, or a group with an array for each input, with samples on axis 0.

    Parameters
    ----------
    path : str
        A folder, or an address that fsspec knows.
    inputs : {input name: TensorType}
        The array "labels" of a group is no sample, unless it is one of these.

    Raises
    ------
    InputError
    """

    def __init__(self, path: str, inputs: Mapping[str, TensorType]) -> None:
        self.name = path
        self._wanted = list(inputs)
        arrays = self._arrays
        if LABELS in arrays and LABELS not in self._wanted:
            self.labels = np.asarray(arrays[LABELS][:])
        lengths = {name: arrays[name].shape[0] for name in self._named}
        if not lengths or len(set(lengths.values())) > 1:
            raise InputError(
                f"{path!r} holds these numbers of samples: {lengths}; expected the same number "
                f"for every input of {self._wanted}, one or more."
            )

    def __getstate__(self) -> dict[str, object]:
        """Without what is open."""
        return {name: value for name, value in vars(self).items() if name != "_arrays"}

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        zarr = needed("zarr", f"Reading {self.name}")
        try:
            return dict(zarr.open_group(self.name, mode="r").arrays())
        except BROKEN:
            pass  # an array of its own, or nothing
        try:
            return {"": zarr.open_array(self.name, mode="r")}
        except BROKEN as error:
            raise InputError(f"{self.name!r} is no readable zarr store: {error}.") from error

    @cached_property
    def _named(self) -> dict[str, str]:
        return inputs_of(self._arrays, self._wanted)

    def __len__(self) -> int:
        """Number of samples."""
        return int(next(iter(self._arrays[name].shape[0] for name in self._named)))

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Read some samples."""
        try:
            return {its: np.asarray(self._arrays[n][at]) for n, its in self._named.items()}
        except BROKEN as error:
            raise DataError(
                f"{self.name!r} cannot be read: {error}. Bring it back; a run that had begun goes "
                "on with --resume."
            ) from error

    @cached_property
    def digest(self) -> str:
        """Sum of names, types, shapes and numbers, a chunk at a time."""
        found = sha256()
        for name in sorted(self._named):
            array = self._arrays[name]
            found.update(repr((self._named[name], array.dtype.str, array.shape)).encode())
            step = max(array.chunks[0], 1)
            for start in range(0, array.shape[0], step):
                found.update(np.ascontiguousarray(array[start : start + step]).tobytes())
        return found.hexdigest()
