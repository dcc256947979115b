"""Arrays in ``.npy`` and ``.npz`` files: without pickle, and believing nothing that a file claims.

NumPy makes room for as many numbers as a header claims, and unpacks whatever a zip holds. Here the
sizes that a file states are held against each other, and against `onnxlin.limits`, before any
memory is taken.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from math import prod
from typing import IO, Any

import numpy as np

from onnxlin import limits
from onnxlin.archives.members import ENDING, LOCAL, mapped_at
from onnxlin.errors import FileError
from onnxlin.files import File, described

# What NumPy writes before the numbers, for every plain type; no evaluation is needed to read it.
HEADER = re.compile(
    r"\{'descr': '([<>|=][a-zA-Z]\d*)', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d+, ?)*(?:\d+,?)?)\), \}\s*"
)
KINDS = "biufcUSV"
MAGIC = b"\x93NUMPY"
LENGTHS = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}
LONGEST_HEADER = 2**16
PACKED = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1040}
"""Ways of packing, and how many times more a byte can become in each (deflate: 1,032)."""
AT_ONCE = 2**22
LENGTHS_AT = 26
"""Where a member's header has the lengths of its name and of what comes behind that."""

# All that zipfile, zlib and the system raise at what is no archive, or a broken one.
BROKEN = (
    OSError, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError, IndexError,
    struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def read(file: File, mapped: Collection[str] = ()) -> dict[str, Any]:
    """Read every array of an ``.npz``.

    Parameters
    ----------
    file : path, or an open binary file
    mapped : names, optional
        Arrays that are not brought to memory: read-only memory maps of the file, `numpy.memmap`.

    Raises
    ------
    FileError
        It is no archive of arrays, is broken or cut short, states what cannot be, holds objects
        (which are pickles), or two arrays of one name; or what is to be mapped is packed. The text
        is the reason alone.
    LimitError
        It unpacks to more than ``unpacked_bytes``.
    """
    with _opened(file) as (stream, size), zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        [(name, count)] = Counter(m.filename for m in members).most_common(1) or [("", 0)]
        if count > 1:
            raise FileError(f"{count} arrays have the name {name!r}")
        for member in members:
            _require_plain(member, size)
        total = sum(member.file_size for member in members)
        limits.hold("unpacked_bytes", total, f"{described(file)} unpacks to {total:,} bytes")
        found = {}
        for member in members:
            name = member.filename.removesuffix(ENDING)
            with archive.open(member) as unpacked:
                if name in mapped:
                    found[name] = _mapped(stream, member, unpacked, name)
                else:
                    found[name] = _array(unpacked, member.file_size, name)
        return found


def read_one(file: File, *, mapped: bool = False) -> Any:
    """Read the array of an ``.npy``, or map it: see `read`.

    Raises
    ------
    FileError
        As of `read`.
    LimitError
    """
    with _opened(file) as (stream, size):
        limits.hold("unpacked_bytes", size, f"{described(file)} has {size:,} bytes")
        if not mapped:
            return _array(stream, size, "the file")
        order, shape, dtype, start = _header(stream, "the file")
        _length(shape, dtype, size - start, "the file")
        return mapped_at(stream, start, shape, dtype, order)


def begun(stream: IO[bytes], size: int) -> tuple[Any, tuple[int, ...], np.dtype[Any], int]:
    """Read only what stands before the numbers of an ``.npy`` of ``size`` bytes.

    Returns
    -------
    order, shape, dtype, start
        "C" or "F", and the byte at which the numbers begin.

    Raises
    ------
    FileError
        It is none, or does not hold as many bytes as it claims.
    """
    try:
        order, shape, dtype, start = _header(stream, "the file")
    except BROKEN as error:
        raise FileError(f"it is cut short: {error}") from error
    _length(shape, dtype, size - start, "the file")
    return order, shape, dtype, start


def packed(file: File) -> list[str]:
    """Names of the arrays of an ``.npz`` that are packed, and so cannot be mapped.

    Raises
    ------
    FileError
        As of `read`.
    """
    with _opened(file) as (stream, _), zipfile.ZipFile(stream) as archive:
        members = [m for m in archive.infolist() if m.compress_type != zipfile.ZIP_STORED]
        return [member.filename.removesuffix(ENDING) for member in members]


def names(file: File) -> list[str]:
    """Names of the arrays of an ``.npz``; raises as `read` does."""
    with _opened(file) as (stream, _), zipfile.ZipFile(stream) as archive:
        return [member.filename.removesuffix(ENDING) for member in archive.infolist()]


@contextmanager
def _opened(file: File) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file and measure it; what its readers stumble over becomes one error."""
    try:
        if isinstance(file, str | os.PathLike):
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise FileError("it is no file of bytes, but a folder, a pipe or a device")
            with open(file, "rb") as stream:
                yield stream, os.fstat(stream.fileno()).st_size
        else:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            yield file, size
    except BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise FileError(f"{reason or error or type(error).__name__}") from error


def _require_plain(member: zipfile.ZipInfo, size: int) -> None:
    name = member.filename
    if not name.endswith(ENDING):
        raise FileError(f"{name!r} in it is no array: those end in {ENDING}")
    if member.flag_bits & 1:
        raise FileError(f"{name!r} in it is encrypted")
    if member.compress_type not in PACKED:
        raise FileError(f"{name!r} in it is packed in a way that NumPy does not write")
    most = PACKED[member.compress_type] * member.compress_size
    if member.compress_size > size or member.file_size > most:
        raise FileError(
            f"{name!r} in it claims {member.file_size:,} bytes, which its "
            f"{member.compress_size:,} packed ones in a file of {size:,} cannot hold"
        )


def _array(stream: IO[bytes], size: int, name: str) -> Any:
    """Read an array of ``size`` bytes, header included."""
    order, shape, dtype, start = _header(stream, name)
    length = _length(shape, dtype, size - start, name)
    try:
        flat = np.empty(length, np.uint8)
    except MemoryError as error:
        raise FileError(f"array {name!r} of {length:,} bytes does not fit into memory") from error
    _fill(stream, flat, name)
    found = flat.view(dtype) if dtype.itemsize else np.empty(prod(shape), dtype)
    return found.reshape(shape, order=order)


def _length(shape: tuple[int, ...], dtype: np.dtype[Any], there: int, name: str) -> int:
    """Bytes of an array, which must be as many as are there."""
    length = prod(shape) * dtype.itemsize
    if length != there:
        raise FileError(
            f"array {name!r} has shape {shape} of {dtype}, {length:,} bytes, but {there:,} are "
            "there"
        )
    return length


def _mapped(stream: IO[bytes], member: zipfile.ZipInfo, unpacked: IO[bytes], name: str) -> Any:
    """Map an array where it lies in the archive, once all of it has been read."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise FileError(f"array {name!r} in it is packed, and only what is not can be mapped")
    order, shape, dtype, start = _header(unpacked, name)
    _length(shape, dtype, member.file_size - start, name)
    while unpacked.read(AT_ONCE):  # at its end zipfile holds the sum of all bytes against its own
        pass
    stream.seek(member.header_offset + LENGTHS_AT)
    begin = member.header_offset + LOCAL + sum(struct.unpack("<HH", stream.read(4)))
    return mapped_at(stream, begin + start, shape, dtype, order)


def _plain(text: str) -> np.dtype[Any] | None:
    try:
        return np.dtype(text) if text[1] in KINDS else None
    except TypeError:  # such as floats of three bytes
        return None


def _fill(stream: IO[bytes], flat: Any, name: str) -> None:
    at = 0
    while at < len(flat):
        part = stream.read(min(AT_ONCE, len(flat) - at))
        if not part:
            raise FileError(f"array {name!r} ends after {at:,} of {len(flat):,} bytes")
        flat[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
    if stream.read(1):  # the end is where zipfile holds the sum of all bytes against its own
        raise FileError(f"array {name!r} goes on after its last number")


def _header(stream: IO[bytes], name: str) -> tuple[Any, tuple[int, ...], np.dtype[Any], int]:
    """Read what stands before the numbers: order, shape, type, and its own length."""
    begin = stream.read(8)
    unpack = LENGTHS.get(begin[6]) if begin[:6] == MAGIC and len(begin) == 8 else None
    if unpack is None:
        raise FileError(f"{name!r} does not begin as an array of NumPy does")
    (length,) = unpack.unpack(stream.read(unpack.size))
    text = stream.read(length).decode("latin1") if length <= LONGEST_HEADER else ""
    found = HEADER.fullmatch(text)
    dtype = _plain(found[1]) if found else None
    if found is None or dtype is None:
        raise FileError(
            f"array {name!r} holds no plain numbers or letters: its header is {text[:80]!r}"
        )
    sizes = [int(part) for part in found[3].split(",") if part.strip()]
    if len(sizes) > 32 or any(n >= 2**63 for n in sizes):
        raise FileError(f"array {name!r} has an impossible shape {tuple(sizes)[:8]}")
    order = "F" if found[2] == "True" else "C"
    return order, tuple(sizes), dtype, 8 + unpack.size + length
