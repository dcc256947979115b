"""Which source serves what a person names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.data.addresses import Options, is_address, plain
from onnxlin.data.source import Source
from onnxlin.data.sources.columns import HuggingFace, Parquet, has_pictures
from onnxlin.data.sources.pictures import Pictures
from onnxlin.data.sources.remote import RemoteArray
from onnxlin.data.sources.stacked import InFile, InMemory, Lines, Stacked
from onnxlin.data.sources.texts import TextTable
from onnxlin.data.sources.zarrs import Zarr
from onnxlin.errors import InputError
from onnxlin.graph import Array, Graph, TensorType
from onnxlin.inputs import read_labels
from onnxlin.inputs.columns import Columns
from onnxlin.inputs.given import PICTURES, TABLES, only
from onnxlin.inputs.preprocessing import Preprocessing
from onnxlin.inputs.tables import ending_of
from onnxlin.inputs.told import columns_of, metadata, preprocessing_of

PathLike = str | os.PathLike[str]
Data = PathLike | Sequence[PathLike] | npt.ArrayLike | Mapping[str, npt.ArrayLike]
ARRAYS = (".npy", ".npz")
PARQUET = (".parquet", ".pq")


def open_source(
    data: Any,
    inputs: Mapping[str, TensorType],
    preprocessing: Preprocessing | None = None,
    *,
    columns: Columns | None = None,
    labels: PathLike | npt.ArrayLike | None = None,
    storage_options: Options | None = None,
) -> Source:
    """Open a data set for a model with these inputs; nothing is read but its beginning.

    Parameters
    ----------
    data : path, paths, arrays or a data set
        ``.npy``, ``.npz``, zarr (a folder, or an address with ``://``), a folder of pictures (those
        in folders of it are labelled by these), pictures, ``.csv``, ``.tsv``, ``.parquet``; an
        array (N, ...) or {input name: array}; a ``datasets.Dataset``. At an address: zarr, ``.npy``
        and ``.parquet``.
    inputs : {input name: TensorType}
    preprocessing : Preprocessing, optional
        Of pictures, and of arrays that hold their pixels; without it arrays are taken as they are.
    columns : Columns, optional
        Names of a table's columns, in the model's order.
    labels : path or array (N,), optional
        Instead of those that the data has. A file is read as `read_labels` does.
    storage_options : dict, optional
        For an address: what fsspec needs beside it.

    Raises
    ------
    InputError
    OnnxlinError
        A package is missing that reads them.
    """
    found = _opened(data, inputs, preprocessing, columns, storage_options)
    if labels is not None:
        found.labels = _labels(labels, found)
    return found


def source_of(
    graph: Graph, data: Any, labels: Any = None, storage_options: Options | None = None
) -> Source:
    """Open files as the commands do, by what the model says of its inputs; arrays as they are.

    Parameters
    ----------
    graph : Graph
    data, labels, storage_options
        As for `open_source`; a `Source` is what it is.
    """
    if isinstance(data, Source):
        return data
    paths, columns = paths_of(data), columns_of(graph)
    told = None if paths is None else preprocessing_of(metadata(graph), os.fspath(paths[0]))
    if paths is None and has_pictures(data):
        told = preprocessing_of(metadata(graph), ".npy")
    return open_source(
        data, graph.inputs, told, columns=columns, labels=labels, storage_options=storage_options
    )


def _opened(
    data: Any,
    inputs: Mapping[str, TensorType],
    preprocessing: Preprocessing | None,
    columns: Columns | None,
    options: Options | None,
) -> Source:
    paths = paths_of(data)
    if paths is None:
        return Stacked(_in_memory(data, inputs, columns), inputs, preprocessing)
    first = plain(paths[0])
    if is_address(first) and len(paths) == 1:
        return Stacked(_afar(first, inputs, columns, options), inputs, preprocessing)
    if len(paths) > 1 or _is_pictures(first):
        return Pictures(paths, inputs, preprocessing)
    return Stacked(_lines(first, inputs, columns), inputs, preprocessing)


def paths_of(data: Any) -> list[PathLike] | None:
    """Return the paths, if that is what is given."""
    if isinstance(data, str | os.PathLike):
        return [data]
    if (
        isinstance(data, list | tuple)
        and data
        and all(isinstance(p, str | os.PathLike) for p in data)
    ):
        return list(data)
    return None


def _is_pictures(path: PathLike) -> bool:
    file = Path(path)
    return file.suffix.lower() in PICTURES or (file.is_dir() and not _is_zarr(file))


def _is_zarr(folder: Path) -> bool:
    names = ("zarr.json", ".zarray", ".zgroup")
    return folder.suffix == ".zarr" or any((folder / name).is_file() for name in names)


def _afar(
    address: str,
    inputs: Mapping[str, TensorType],
    columns: Columns | None,
    options: Options | None,
) -> Lines:
    ending = PurePosixPath(address).suffix.lower()
    if ending == ".npy":
        return RemoteArray(address, inputs, options)
    if ending in PARQUET:
        return Parquet(address, inputs, columns, options)
    if ending in (*ARRAYS, *TABLES, *PICTURES):
        raise InputError(
            f"{address!r}: from an address zarr, .npy and {PARQUET[0]} are read. Bring "
            f"{ending} to this machine, or store it as one of these."
        )
    return Zarr(address, inputs, options)


def _lines(path: str, inputs: Mapping[str, TensorType], columns: Columns | None) -> Lines:
    ending = ending_of(Path(path))
    if Path(path).is_dir() or ending == ".zarr":
        return Zarr(path, inputs)
    if not Path(path).exists():
        raise InputError(f"No such data: {path!r}.")
    if ending in ARRAYS:
        return InFile(path, inputs)
    if ending in TABLES:
        return TextTable(path, inputs, columns)
    if ending in PARQUET:
        return Parquet(path, inputs, columns)
    raise InputError(
        f"{path!r} ends in {ending or 'nothing'!r}; expected a folder of pictures, pictures, zarr, "
        f"{', '.join((*ARRAYS, *TABLES, *PARQUET))}."
    )


def _in_memory(data: Any, inputs: Mapping[str, TensorType], columns: Columns | None) -> Lines:
    if type(data).__module__.partition(".")[0] == "datasets":
        return HuggingFace(data, inputs, columns)
    if isinstance(data, Mapping):
        return InMemory({name: np.asarray(value) for name, value in data.items()})
    name, _ = only(Path("the array given"), inputs)
    return InMemory({name: np.asarray(data)})


def _labels(labels: PathLike | npt.ArrayLike, source: Source) -> Array:
    if isinstance(labels, str | os.PathLike):
        found: Array = np.array(read_labels(labels, source.names))
    else:
        found = np.asarray(labels)
    if found.shape != (len(source),):
        raise InputError(f"There are labels of shape {found.shape} for {len(source):,} samples.")
    return found
