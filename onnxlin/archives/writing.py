"""An ``.npz`` that is written an array at a time, and a large array a few rows at a time."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import IO, Any, final

import numpy as np
import numpy.typing as npt

from onnxlin.archives.members import ENDING, LOCAL, mapped_at
from onnxlin.files import NAME_TOO, File, writing

AT_ONCE = 2**22
ALIGNED = 64
"""Bytes at whose multiples members begin, so that numbers can be used where they lie in a file."""
PADDING = struct.Struct("<HHH")
ALIGNMENT = 0xD935
"""The extra field of zip in which Android's zipalign has what fills up."""
ZIP64 = 20  # bytes of the field of long sizes


def write(file: File, arrays: Mapping[str, npt.ArrayLike], what_to_do: str = NAME_TOO) -> None:
    """Write an ``.npz``; equal arrays make equal bytes.

    Parameters
    ----------
    file : path, or an open binary file
    arrays : {name: array}
        Any names: `numpy.savez` takes them as keywords, and has one of its own, "file".
    what_to_do : str
        The end of the error's text.

    Raises
    ------
    FileError
    """
    with drafting(file, what_to_do) as draft:
        for name, value in arrays.items():
            draft.add(name, value)


@contextmanager
def drafting(file: File, what_to_do: str = NAME_TOO) -> Iterator[Draft]:
    """Open an ``.npz`` to be written an array at a time; it is there once the block has ended well.

    Raises
    ------
    FileError
        As of `write`.
    """
    with writing(file, what_to_do) as stream, zipfile.ZipFile(stream, "w") as archive:
        yield Draft(stream, archive)


@final
class Draft:
    """An ``.npz`` in the making, its numbers not packed; see `drafting`."""

    def __init__(self, stream: IO[bytes], archive: zipfile.ZipFile) -> None:
        self._stream, self._archive = stream, archive
        self._grown: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}

    def add(self, name: str, value: npt.ArrayLike) -> None:
        """Write an array."""
        with self._member(name) as member:
            np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)

    @contextmanager
    def growing(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Iterator[Callable[[Any], None]]:
        """Write an array in C order, a few rows at a time: yields what takes them in their order.

        Parameters
        ----------
        shape, dtype
            Of the array once all its rows are there.
        """
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        there = 0

        def put(rows: Any) -> None:
            nonlocal there
            size = max(AT_ONCE * len(rows) // max(rows.nbytes, 1), 1)
            for start in range(0, len(rows) if rows.nbytes else 0, size):
                part = np.ascontiguousarray(rows[start : start + size], dtype)
                member.write(part.reshape(-1).view(np.uint8).data)
                there += part.nbytes

        with self._member(name) as member:
            np.lib.format.write_array_header_1_0(member, header)
            assert self._archive.fp is not None
            self._grown[name] = self._archive.fp.tell(), shape, dtype
            yield put
            if there != (length := prod(shape) * dtype.itemsize):
                raise ValueError(f"{there:,} bytes of {name!r} were put, of {length:,}")

    def mapped(self, name: str) -> Any:
        """Map an array that has been grown, where it is written: it stays, whatever the name."""
        self._stream.flush()
        at = self._stream.tell()
        found = mapped_at(self._stream, *self._grown[name])
        self._stream.seek(at)
        return found

    def first(self, name: str) -> None:
        """List an array before all others: damage to the list may hide what comes after."""
        self._archive.filelist.sort(key=lambda member: member.filename != f"{name}{ENDING}")

    @contextmanager
    def _member(self, name: str) -> Iterator[IO[bytes]]:
        # Without a date: zip has none before this one.
        entry = zipfile.ZipInfo(f"{name}{ENDING}", (1980, 1, 1, 0, 0, 0))
        header = LOCAL + len(entry.filename.encode()) + ZIP64 + PADDING.size
        pad = -(self._archive.start_dir + header) % ALIGNED
        entry.extra = PADDING.pack(ALIGNMENT, 2 + pad, ALIGNED) + bytes(pad)
        with self._archive.open(entry, "w", force_zip64=True) as member:
            yield member
