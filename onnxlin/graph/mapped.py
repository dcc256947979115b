"""Weights that stay in the files they came from, mapped into memory: none of it is a copy.

Pages of a mapped file are read when somebody looks at them, are shared with other processes that
map it, and are given up first when memory gets short. The price is that the numbers are those of
the file at any time: so it is looked at before they are used, and one that has been written to is
refused. One that was removed, or renamed over, is there for as long as it is mapped.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from onnxlin.errors import ModelError

Array = npt.NDArray[Any]

LARGE = 2**20
"""Bytes from which on a weight is mapped; smaller ones are read."""

Stamp = tuple[int, ...]


class MappedFile(mmap.mmap):
    """A file as it was when it was mapped.

    Attributes
    ----------
    folder, location : str
        Of the file, and its name from there.
    """

    folder: str
    location: str
    _stamp: Stamp

    @classmethod
    def of(cls, descriptor: int, folder: str, location: str) -> MappedFile:
        """Map an open file."""
        made = cls(descriptor, 0, access=mmap.ACCESS_READ)
        made.folder, made.location = os.path.abspath(folder), location
        made._stamp = _stamp(os.fstat(descriptor))
        return made

    def is_of(self, descriptor: int) -> bool:
        """Whether it maps what an open file is now."""
        return _stamp(os.fstat(descriptor)) == self._stamp

    def release(self) -> None:
        """Let go of the pages that have been looked at: they come back when they are again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)

    @property
    def is_there(self) -> bool:
        """Whether the file still has its name.

        Raises
        ------
        ModelError
            It has been written to.
        """
        try:
            now = _stamp(os.stat(os.path.join(self.folder, self.location)))
        except (OSError, ValueError):
            return False
        if now[:2] != self._stamp[:2]:
            return False
        if now != self._stamp:
            raise ModelError(
                f"{self.location!r} in {self.folder!r} has been written to since the model was "
                "read, and its weights are in there. Read the model again; to replace a model that "
                "is in use, write the new one beside it and rename it."
            )
        return True


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Place(NamedTuple):
    """Where the numbers of an array lie in a file."""

    file: MappedFile
    offset: int


def array_in(file: MappedFile, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Array:
    """Return a part of a file as an array, which is read-only."""
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(file, dtype, count, offset).reshape(shape)


def can_be_mapped(size: int) -> bool:
    """Whether a weight of so many bytes is worth mapping, and means the same as it lies."""
    # What is stored is little-endian.
    return size >= LARGE and sys.byteorder == "little"


def place_of(array: Array) -> Place | None:
    """Return where an array lies in a file; None where it does not, or not in one piece."""
    file = file_of(array)
    if file is None or not array.flags.c_contiguous:
        return None
    start = np.frombuffer(file, np.uint8, 1).__array_interface__["data"][0]
    return Place(file, array.__array_interface__["data"][0] - start)


def file_of(array: Array) -> MappedFile | None:
    """Return the file that an array, or what it is a view of, lies in."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    return base if isinstance(base, MappedFile) else None


def files_of(arrays: Iterable[Array]) -> tuple[MappedFile, ...]:
    """Return the files that some of the arrays lie in, each once."""
    found = {id(file): file for array in arrays if (file := file_of(array)) is not None}
    return tuple(found.values())


def require_unchanged(files: Iterable[MappedFile]) -> None:
    """Raise ModelError where a file has been written to since it was mapped."""
    for file in files:
        file.is_there  # noqa: B018  # which raises


def by_name(arrays: Mapping[str, Array]) -> dict[str, Place]:
    """Return the places of those arrays whose file still has its name, of one folder."""
    places = {name: place for name, array in arrays.items() if (place := place_of(array))}
    folders = [place.file.folder for place in places.values()][:1]
    there = {id(p.file) for p in places.values() if p.file.folder in folders and p.file.is_there}
    return {name: place for name, place in places.items() if id(place.file) in there}
