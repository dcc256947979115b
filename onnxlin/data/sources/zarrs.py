"""Arrays of a zarr store."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from onnxlin.data.addresses import Options, is_address, zarr_of
from onnxlin.data.extra import needed
from onnxlin.data.source import changed
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
    options : dict, optional
        What fsspec is told beside an address.

    Raises
    ------
    InputError
    """

    def __init__(
        self, path: str, inputs: Mapping[str, TensorType], options: Options | None = None
    ) -> None:
        self.name = path
        self._wanted, self._options = list(inputs), dict(options or {})
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
        there = zarr_of(self.name, self._options) if is_address(self.name) else self.name
        try:
            return dict(zarr.open_group(there, mode="r").arrays())
        except BROKEN:
            pass  # an array of its own, or nothing
        try:
            return {"": zarr.open_array(there, mode="r")}
        except BROKEN as error:
            raise InputError(f"{self.name!r} is no readable zarr store: {error}.") from error

    @cached_property
    def _named(self) -> dict[str, str]:
        return inputs_of(self._arrays, self._wanted)

    def __len__(self) -> int:
        """Number of samples."""
        return int(next(iter(self._arrays[name].shape[0] for name in self._named)))

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Read some samples; once the digest is known, they must be those that it was taken of.

        A chunk that is gone reads as zeros, and one that is written over as what is there.
        """
        start, stop, _ = at.indices(len(self))
        return {its: self._some(name, start, stop) for name, its in self._named.items()}

    def _some(self, name: str, start: int, stop: int) -> Array:
        sums = vars(self).get("_sums")
        if sums is None or stop <= start:
            return self._read(name, slice(start, stop))
        step = self._step(name)
        first = start // step
        parts = [self._proved(name, i, sums[name][i]) for i in range(first, -(-stop // step))]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole[start - first * step : stop - first * step]

    def _proved(self, name: str, number: int, expected: int) -> Array:
        step = self._step(name)
        found = self._read(name, slice(number * step, (number + 1) * step))
        if zlib.crc32(found.tobytes()) != expected:
            raise changed(self.name)
        return found

    def _step(self, name: str) -> int:
        """Samples that are read together, however few are asked for."""
        array = self._arrays[name]
        return max((array.shards or array.chunks)[0], 1)

    def _read(self, name: str, at: slice) -> Array:
        try:
            return np.ascontiguousarray(self._arrays[name][at])
        except Exception as error:  # object stores have errors of their own
            raise DataError(
                f"{self.name!r} cannot be read: {error}. Bring it back; a run that had begun goes "
                "on with --resume."
            ) from error

    @cached_property
    def digest(self) -> str:
        """Sum of names, types, shapes and numbers, a chunk at a time."""
        found = sha256()
        sums: dict[str, list[int]] = {}
        for name in sorted(self._named):
            array = self._arrays[name]
            found.update(repr((self._named[name], array.dtype.str, array.shape)).encode())
            step = self._step(name)
            for start in range(0, array.shape[0], step):
                data = self._read(name, slice(start, start + step)).tobytes()
                found.update(data)
                sums.setdefault(name, []).append(zlib.crc32(data))
        self._sums = sums
        return found.hexdigest()
