"""Where results go: arrays of zarr, a chunk of them written whole, then marked as done."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.data.addresses import Options, files_of, is_address, names_in, plain, zarr_of
from onnxlin.data.chunk import ByName, compressors, encoded
from onnxlin.data.extra import needed
from onnxlin.data.kept import Layout, Variable
from onnxlin.data.order import Order
from onnxlin.errors import FileError, OnnxlinError, OptionError
from onnxlin.files import folder_of, write
from onnxlin.graph import Array

SAMPLE, DONE, ABOUT = "sample", "done", "onnxlin"
WRITING = "Writing a store of results"
AFAR = "Look at address and storage options; what is done is kept: resume=True (--resume) goes on."
AGAIN = "Make room, and run it again with resume=True (--resume): what is done is kept."


class Store:
    """A zarr group in which a run keeps what it has found.

    Parameters
    ----------
    path : str
        A folder, or an address that fsspec knows, with ``://``.
    options : dict, optional
        What fsspec is told beside the address. It goes to workers, and into no file.
    """

    def __init__(self, path: str | os.PathLike[str], options: Options | None = None) -> None:
        self.path, self.options = plain(path), dict(options or {})

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "options": self.options}

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine's."""
        return not is_address(self.path)

    @property
    def files(self) -> tuple[Any, str]:
        """Of an address: fsspec's file system, and the path in it."""
        return files_of(self.path, self.options)

    @property
    def _there(self) -> Any:
        return self.path if self.is_local else zarr_of(self.path, self.options)

    @cached_property
    def group(self) -> Any:
        """The group, to be read and written.

        Raises
        ------
        OptionError
            There is none.
        """
        zarr = needed("zarr", WRITING)
        try:
            return zarr.open_group(self._there, mode="r+", zarr_format=3, use_consolidated=False)
        except (FileNotFoundError, ValueError) as error:
            raise OptionError(
                f"There is no store of results at {self.path!r}. Give the folder that "
                "`onnxlin run --out` has written."
            ) from error
        except Exception as error:
            if self.is_local or isinstance(error, OnnxlinError):
                raise
            raise FileError(f"Cannot read {self.path!r}: {error}. {AFAR}") from error

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the run has noted, of a store that is complete; else nothing."""
        if not self._is_there():
            return {}
        found = dict(self.group.attrs).get(ABOUT)
        return found if isinstance(found, dict) else {}

    def _is_there(self) -> bool:
        try:
            return self.group is not None
        except OptionError:
            return False

    @property
    def is_taken(self) -> bool:
        """Whether something lies there already, of ours or not."""
        if not self.is_local:
            with self.writing():
                fs, path = self.files
                fs.invalidate_cache()
                with suppress(FileNotFoundError):
                    return bool(fs.ls(path, detail=False))
                return False
        return os.path.exists(self.path) and not (
            os.path.isdir(self.path) and not os.listdir(self.path)
        )

    @property
    def about_is_ours(self) -> bool:
        """Whether what lies there was begun by a run."""
        return self._is_there() and ABOUT in dict(self.group.attrs)

    @property
    def order(self) -> Order | None:
        """What was asked of the run; None where none was begun."""
        found = self.about.get("order")
        if found is None:
            return None
        plain = {field.name: found[field.name] for field in fields(Order) if field.name in found}
        return Order(**{name: _tuples(value) for name, value in plain.items()})

    @property
    def layout(self) -> Layout:
        """What its maps have in common."""
        return Layout.of_dict(self.about["layout"])

    def create(
        self,
        order: Order,
        layout: Layout,
        variables: tuple[Variable, ...],
        notes: Mapping[str, Any],
    ) -> None:
        """Make all arrays, empty; what lay there is gone. Only then the order says it is a store.

        Raises
        ------
        FileError
            It cannot be written.
        """
        zarr = needed("zarr", WRITING)
        with self.writing():
            group = zarr.open_group(
                self._there, mode="w", zarr_format=3, attributes={ABOUT: "begun"}
            )
            for v in variables:
                chunks = (min(order.chunk, order.count), *(max(n, 1) for n in v.shape))
                group.create_array(
                    v.name,
                    shape=(order.count, *v.shape),
                    chunks=chunks,
                    compressors=compressors(chunks, v.dtype, WRITING),
                    dtype=v.dtype,
                    fill_value=v.fill,
                    dimension_names=(SAMPLE, *v.dims),
                    attributes={"about": v.about, **notes.get(v.name, {})},
                )
            tasks = len(order.slices())
            about = {"about": "1 where a chunk of samples is written"}
            group.create_array(
                DONE, shape=(tasks,), chunks=(1,), dtype="uint8", fill_value=0,
                dimension_names=("task",), attributes=about, compressors=None,
            )  # fmt: skip
            _coordinates(group, layout)
            noted = {"order": asdict(order), "layout": layout.as_dict()}
            group.attrs.update({**notes["run"], ABOUT: json.loads(json.dumps(noted))})
            self.consolidate()
        self._forget()

    def consolidate(self) -> None:
        """Put the metadata of all arrays together, so that opening reads one file."""
        zarr = needed("zarr", WRITING)
        with warnings.catch_warnings():
            # That other implementations of zarr 3 may not know it; they read each array's own.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(self._there, zarr_format=3)

    def _forget(self) -> None:
        for name in ("group", "about", "_arrays"):
            vars(self).pop(name, None)

    @cached_property
    def _arrays(self) -> ByName:
        return ByName(self.group)

    def done(self) -> Array:
        """Which chunks are done, ``(tasks,)``: those whose mark is there, by one listing."""
        array = self._arrays[DONE]
        folder, _, _ = self._key(DONE, 0).rpartition("/")
        found = np.zeros(array.shape, bool)
        # A mark that is being written has another name as yet.
        names = names_in(f"{self.path}/{folder}", self.options)
        some = [int(name) for name in names if name.isdecimal()]
        found[[number for number in some if number < len(found)]] = True
        return found

    def left(self) -> list[int]:
        """Numbers of the chunks that are not done."""
        return [int(i) for i in np.flatnonzero(~self.done())]

    def read(self, name: str, at: slice) -> Array:
        """Read part of an array."""
        found: Array = np.asarray(self._arrays[name][at])
        return found

    def note(self, what: Mapping[str, Any]) -> None:
        """Add attributes, unless they are there.

        Raises
        ------
        FileError
        """
        there = dict(self.group.attrs)
        if all(there.get(name) == value for name, value in what.items()):
            return
        with self.writing():
            self.group.attrs.update(dict(what))
            self.consolidate()

    def write(self, number: int, arrays: Mapping[str, Array]) -> None:
        """Write one chunk of every array, each whole or not at all, and on the disk for good.

        Raises
        ------
        FileError
            The disk is full, say.
        """
        self.put({self._key(n, number): encoded(self._arrays[n], v) for n, v in arrays.items()})

    def mark(self, number: int) -> None:
        """Mark a chunk as done, once all of it is written.

        Raises
        ------
        FileError
        """
        self.put({self._key(DONE, number): encoded(self._arrays[DONE], np.ones(1, np.uint8))})

    def put(self, files: Mapping[str, Any]) -> None:
        """Write files, by their paths in the store, each whole or not at all.

        Raises
        ------
        FileError
        """
        with self.writing():
            if not self.is_local:
                fs, path = self.files
                fs.pipe({f"{path}/{name}": bytes(data) for name, data in files.items()})
                return
            for name, data in files.items():
                path = os.path.join(self.path, name)
                folder_of(path)
                write(path, data, AGAIN)

    def _key(self, name: str, number: int) -> str:
        metadata = self._arrays[name].metadata
        places = (number, *(0 for _ in metadata.shape[1:]))
        return f"{name}/{metadata.encode_chunk_key(places)}"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say what to do where something cannot be written.

        Raises
        ------
        FileError
        """
        try:
            yield
        except OnnxlinError:
            raise
        except Exception as error:
            if not isinstance(error, OSError) and self.is_local:
                raise  # each object store has errors of its own, that have no base in common
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            text = f"Cannot write {self.path!r}: {why}. {AGAIN if self.is_local else AFAR}"
            raise FileError(text) from error


def _coordinates(group: Any, layout: Layout) -> None:
    """Name nodes, and outputs where some are chosen."""
    if layout.rows is not None:
        rows = np.array(layout.rows, np.int64)
        made = group.create_array(
            "output", data=rows, chunks=rows.shape, dimension_names=("output",)
        )
        made.attrs["about"] = "number of the output"


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
