"""The one door through which onnxlin writes files: each is there whole, or as it was before.

A file is written under a name of its own beside the one asked for, flushed to the disk, and then
renamed, which the system does at once: a full disk, a crash or ``kill -9`` leave the older file.
What has no name to rename (a pipe, a terminal, ``/dev/null``) is written to directly.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from onnxlin.errors import FileError

__all__ = [
    "File",
    "copy",
    "described",
    "folder_of",
    "is_written_directly",
    "remove",
    "which",
    "write",
    "writing",
]

File = str | os.PathLike[str] | IO[bytes]
"""A path, or an open binary file."""

PATIENCE = 5  # seconds in which somebody must read from a pipe with a name
ROOM = 2**20  # bytes that are kept back before they are written
LINKS = 40  # of a chain that are followed, as the system does
DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
NAME_TOO = "Give another name."


@contextmanager
def writing(file: File, what_to_do: str = NAME_TOO) -> Iterator[IO[bytes]]:
    """Open a file to be written, in a ``with`` block; it is there once the block has ended well.

    Parameters
    ----------
    file : path, or an open binary file
        Links are followed. A file that is there keeps its mode and, where that may be, its owner;
        a new one has what the umask leaves. What is open already is written to as it is.
    what_to_do : str
        The end of the error's text.

    Raises
    ------
    FileError
        It cannot be written: no such folder, no permission, no room, a name that is too long. What
        was there before is there still, and nothing else.
    """
    if not isinstance(file, str | os.PathLike):
        yield file
        return
    path = os.fspath(file)
    try:
        _require_name(path)
        opened = _directly(path) if is_written_directly(path) else _beside(path)
        with opened as stream:
            yield stream
    except OSError as error:
        raise FileError(
            f"Cannot write {path!r}: {error.strerror or error}. {what_to_do}"
        ) from error


def write(file: File, data: bytes, what_to_do: str = NAME_TOO) -> None:
    """Write a file of these bytes; see `writing`.

    Raises
    ------
    FileError
    """
    with writing(file, what_to_do) as stream:
        stream.write(data)


def folder_of(path: str | os.PathLike[str], what_to_do: str = NAME_TOO) -> None:
    """Make the folder that a file is to lie in, and those above it.

    Raises
    ------
    FileError
    """
    try:
        _require_name(os.fspath(path))
        os.makedirs(os.path.dirname(os.fspath(path)) or ".", exist_ok=True)
    except OSError as error:
        text = f"Cannot write {os.fspath(path)!r}: {error.strerror or error}. {what_to_do}"
        raise FileError(text) from error


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file that is no longer of use; that it cannot be removed hurts nobody."""
    with suppress(OSError):
        os.unlink(path)


def copy(path: str | os.PathLike[str], other: File) -> None:
    """Write a file again under another name; see `writing`.

    Raises
    ------
    FileError
    """
    with writing(other) as stream, open(path, "rb") as source:
        while part := source.read(ROOM):
            stream.write(part)


def which(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Tell a file from another that takes its name; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def described(file: Any) -> str:
    """Name a file in a message."""
    return repr(os.fspath(file)) if isinstance(file, str | os.PathLike) else "the open file"


def is_written_directly(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a pipe, a terminal, a device, or an open file of this process."""
    if _descriptor(os.fspath(path)) is not None:
        return True
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _require_name(path: str) -> None:
    """Refuse what can be no name of a file, as the system would."""
    try:
        fine = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fine = False
    if not fine:
        raise OSError(errno.EINVAL, "no file can have this name", path)
    if path.endswith(os.sep):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)


def _descriptor(path: str) -> int | None:
    """Number of the open file that a path stands for; a rename would put another in its place."""
    for _ in range(LINKS):
        whole = os.path.abspath(path)
        if whole in STREAMS:
            return STREAMS[whole]
        if found := DESCRIPTOR.fullmatch(whole):
            return int(found[1])
        try:
            path = os.path.join(os.path.dirname(whole), os.readlink(whole))
        except (OSError, ValueError):
            return None
    return None


@contextmanager
def _directly(path: str) -> Iterator[IO[bytes]]:
    number = _descriptor(path)
    if number == 1 and sys.stdout is not None:
        with suppress(ValueError):  # it is closed
            sys.stdout.flush()  # what was printed before comes first
    opened = _opened(path) if number is None else os.dup(number)
    stream = io.BufferedWriter(_Onward(_above(opened), "wb"), ROOM)
    try:
        yield stream
    except BaseException:
        with suppress(OSError):
            stream.close()
        raise
    stream.close()


def _opened(path: str) -> int:
    """Open a device, or a pipe with a name; of such a one a reader must come within `PATIENCE`."""
    pipe, end = stat.S_ISFIFO(os.stat(path).st_mode), time.monotonic() + PATIENCE
    while True:
        try:
            opened = os.open(path, os.O_WRONLY | _BINARY | (os.O_NONBLOCK if pipe else 0))
        except OSError as error:
            if error.errno != errno.ENXIO or not pipe or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            if pipe:
                os.set_blocking(opened, True)
            return opened


@contextmanager
def _beside(path: str) -> Iterator[IO[bytes]]:
    target = os.path.realpath(path)
    older = _older(target)
    own = _own_name(target)
    stream = None
    try:
        opened = os.open(own, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)  # to be mapped
        stream = io.BufferedWriter(io.FileIO(_above(opened), "wb"), ROOM)
        yield stream
        stream.flush()
        if older is not None:
            _made_alike(own, older)
        _synced(stream.fileno())
        stream.close()
        os.replace(own, target)
    except BaseException:  # Ctrl-C included: nothing half written stays
        if stream is not None:
            with suppress(OSError):
                stream.close()
        remove(own)
        raise
    _sync_folder(os.path.dirname(target))


def _own_name(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name[:40]}.{os.urandom(6).hex()}.part")


def _older(target: str) -> os.stat_result | None:
    """What is there already, if it may be written over."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    # Renaming asks for no right to the file itself, as writing to it would.
    os.close(os.open(target, os.O_WRONLY))
    return found


class _Onward(io.FileIO):
    """A file that is only written onward; devices say that they seek, and stay where they are."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


def _above(descriptor: int) -> int:
    # Where a standard stream is closed its number is free, and whoever prints would print here.
    taken = []
    while descriptor <= 2:
        taken.append(descriptor)
        descriptor = os.dup(descriptor)
    for low in taken:
        os.close(low)
    return descriptor


def _made_alike(own: str, older: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root gives files away
            os.chown(own, older.st_uid, older.st_gid)
    os.chmod(own, stat.S_IMODE(older.st_mode) & 0o777)


def _synced(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have none
            raise


def _sync_folder(folder: str) -> None:
    """Let the new name outlast a power cut; not every system opens folders."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


_BINARY = getattr(os, "O_BINARY", 0)
