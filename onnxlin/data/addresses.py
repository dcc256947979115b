"""Addresses of object stores, such as ``s3://bucket/results.zarr``, which fsspec knows.

There a PUT puts the whole of an object or none of it, and who reads it then sees it: nothing is
written under another name first, and nothing flushed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import sha256
from typing import IO, Any

from onnxlin.data.extra import needed
from onnxlin.data.source import changed
from onnxlin.errors import DataError, OnnxlinError, OptionError

MARK = "://"
OWN = ("file://", "local://")
"""Of files of this machine, which are taken as such."""
MEMORY = "memory://"
"""Of what is in one process, and seen by no other."""
AT_ONCE = 2**23
"""Bytes that are read at once where all are wanted."""

Options = Mapping[str, Any]
"""What fsspec is told beside an address: keys, an endpoint, ..."""


def is_address(path: Any) -> bool:
    """Whether something lies in an object store, and not in a folder of this machine's."""
    return isinstance(path, str) and MARK in path and not path.startswith(OWN)


def plain(path: str | os.PathLike[str]) -> str:
    """Return a path as it is opened: without ``file://``, an address without a ``/`` at its end."""
    found = os.fspath(path)
    for mark in OWN:
        if found.startswith(mark):
            return found.removeprefix(mark)
    return found.rstrip("/") if is_address(found) and not found.endswith(MARK) else found


def files_of(address: str, options: Options | None) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it.

    Raises
    ------
    OnnxlinError
        A package is missing that speaks with it.
    OptionError
        No such kind of store.
    """
    with _spoken_with(address):
        fs, path = needed("fsspec", f"Opening {address}").url_to_fs(address, **(options or {}))
    return fs, path


def names_in(folder: str, options: Options | None) -> list[str]:
    """Return the names of what lies in a folder or at an address; none where it is not there."""
    with suppress(FileNotFoundError):
        if not is_address(folder):
            return os.listdir(folder)
        fs, path = files_of(folder, options)
        fs.invalidate_cache()
        return [str(name).rpartition("/")[2] for name in fs.ls(path, detail=False)]
    return []


def zarr_of(address: str, options: Options | None) -> Any:
    """Return what zarr opens at an address.

    Raises
    ------
    OnnxlinError, OptionError
        As `files_of`.
    """
    storage = needed("zarr.storage", f"Opening {address}")
    with _spoken_with(address):
        return storage.FsspecStore.from_url(address, storage_options=dict(options or {}))


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` as fsspec takes it: a dot in KEY goes a level down, VALUE is JSON or text.

    ``client_kwargs.endpoint_url=http://host:9000`` is ``{"client_kwargs": {"endpoint_url": ...}}``;
    ``{"anon": true}`` is taken whole.

    Raises
    ------
    OptionError
    """
    found: dict[str, Any] = {}
    for word in words:
        key, mark, value = word.partition("=")
        whole = _json(word)
        if isinstance(whole, dict):
            found |= whole
            continue
        if not mark or not all(key.split(".")):
            raise OptionError(
                f"storage option {word!r}: expected KEY=VALUE, such as anon=true or "
                "client_kwargs.endpoint_url=http://localhost:9000, or JSON in braces."
            )
        *above, last = key.split(".")
        at = found
        for name in above:
            at = at.setdefault(name, {})
        read = _json(value)
        at[last] = value if read is None and value != "null" else read
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


@contextmanager
def _spoken_with(address: str) -> Iterator[None]:
    kind = address.partition(MARK)[0]
    try:
        yield
    except ImportError as error:
        raise OnnxlinError(
            f"{address!r}: addresses with {kind}{MARK} need a package more. {error}."
        ) from error
    except (ValueError, TypeError) as error:
        raise OptionError(
            f"{address!r} cannot be opened: {error}. Give an address that fsspec knows (s3://, "
            "gs://, abfs://, ...), and what it needs as storage options."
        ) from error


class RemoteFile:
    """An object that is to stay as it was while a run reads it: `Unchanged`, at an address.

    Parameters
    ----------
    address : str
    options : dict, optional

    Raises
    ------
    DataError
        There is none, or it cannot be had.
    """

    def __init__(self, address: str, options: Options | None = None) -> None:
        self.path = address
        self._options = dict(options or {})
        self._was = self._now()

    def __getstate__(self) -> dict[str, object]:
        """Without the connection."""
        return {name: value for name, value in vars(self).items() if name != "_files"}

    @cached_property
    def _files(self) -> tuple[Any, str]:
        # What was listed is not kept: whether something has changed is asked of the store itself.
        return files_of(self.path, {**self._options, "use_listings_cache": False})

    def _now(self) -> tuple[int, str]:
        fs, path = self._files
        with self._reading():
            fs.invalidate_cache()
            found = fs.info(path)
        stamp = next((str(found[key]) for key in STAMPS if found.get(key)), "")
        return int(found["size"]), stamp

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OnnxlinError:
            raise
        except Exception as error:  # those of each store's own library have no base in common
            raise DataError(
                f"The data {self.path!r} cannot be read: {type(error).__name__} {error}. Bring it "
                "back; a run that had begun goes on with --resume."
            ) from error

    @property
    def size(self) -> int:
        """Bytes."""
        return self._was[0]

    def require(self) -> None:
        """Refuse an object that is gone, or that somebody has put anew.

        Raises
        ------
        DataError
        """
        if self._now() != self._was:
            raise changed(self.path)

    def read(self, start: int, stop: int) -> bytes:
        """Some of its bytes."""
        fs, path = self._files
        with self._reading():
            found: bytes = fs.cat_file(path, start=start, end=stop) if stop > start else b""
        return found

    def opened(self) -> IO[bytes]:
        """Open it to be read anywhere."""
        fs, path = self._files
        with self._reading():
            found: IO[bytes] = fs.open(path, "rb")
        return found

    @cached_property
    def digest(self) -> str:
        """Sum of its bytes: sha256."""
        self.require()
        found = sha256()
        for start in range(0, self.size, AT_ONCE):
            found.update(self.read(start, min(start + AT_ONCE, self.size)))
        return found.hexdigest()


STAMPS = ("ETag", "etag", "md5", "generation", "LastModified", "mtime", "last_modified", "created")
"""What different stores say of an object that changes whenever it is put."""
