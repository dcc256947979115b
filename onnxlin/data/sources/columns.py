"""Tables of columns that are typed already: parquet files, and data sets of Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin.data.addresses import Options, RemoteFile, is_address
from onnxlin.data.extra import needed
from onnxlin.data.sources.stacked import LABELS, Lines
from onnxlin.data.sources.unchanged import Unchanged
from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs.columns import Columns

LABEL_NAMES = (LABELS, "label")
AT_ONCE = 1024
"""Rows whose sum is taken at once."""


def of_columns(
    name: str, present: Sequence[str], inputs: Mapping[str, TensorType], columns: Columns | None
) -> tuple[dict[str, list[str]], str | None]:
    """Which columns make which input, and which holds the labels.

    Parameters
    ----------
    name : str
        Of the data, for messages.
    present : sequence of str
        Names of the columns.
    inputs : {input name: TensorType}
    columns : Columns, optional
        Names of a single input's columns, in the model's order.

    Returns
    -------
    {input name: names}
        Several columns are put side by side.
    str or None

    Raises
    ------
    InputError
    """
    label = next((n for n in LABEL_NAMES if n in present and n not in inputs), None)
    rest = [n for n in present if n != label]
    if all(n in present for n in inputs):
        return {n: [n] for n in inputs}, label
    if len(inputs) > 1:
        missing = [n for n in inputs if n not in present]
        raise InputError(
            f"{name!r} has the columns {list(present)[:8]}, and none for the inputs {missing}. "
            "Name a column after each input."
        )
    only = next(iter(inputs))
    if columns is None:
        return {only: rest}, label
    if sorted(columns.names) != sorted(rest):
        missing = [n for n in columns.names if n not in rest]
        unknown = [n for n in rest if n not in columns.names]
        raise InputError(
            f"{name!r} lacks the columns {missing[:8]} and has {unknown[:8]}, which are not "
            f"known. They are matched by name with those of {columns.of}."
        )
    return {only: list(columns.names)}, label


def side_by_side(name: str, values: Sequence[Any]) -> Array:
    """Put columns of one input together: numbers become ``(N, columns)``, lists stay as they are.

    Raises
    ------
    InputError
        They have no common shape.
    """
    try:
        arrays = [_as_array(column) for column in values]
        found: Array = (
            arrays[0] if len(arrays) == 1 and arrays[0].ndim > 1 else np.column_stack(arrays)
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{name!r} does not hold numbers of one shape: {error}.") from error
    if found.dtype == object:
        raise InputError(f"{name!r} does not hold numbers of one shape.")
    return found


def _as_array(column: Any) -> Array:
    found = np.asarray(column)
    # Lists in a column come as an array of arrays.
    return np.stack([np.asarray(line) for line in found]) if found.dtype == object else found


class Parquet(Lines):
    """A parquet file, an instance a row; read by its groups of rows.

    Parameters
    ----------
    file : path or address
    inputs : {input name: TensorType}
    columns : Columns, optional
    options : dict, optional
        What fsspec is told beside an address.

    Raises
    ------
    InputError
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        inputs: Mapping[str, TensorType],
        columns: Columns | None = None,
        options: Options | None = None,
    ) -> None:
        self.name = os.fspath(file)
        self._file: Unchanged | RemoteFile = (
            RemoteFile(self.name, options) if is_address(self.name) else Unchanged(Path(file))
        )
        present = self._opened.schema_arrow.names
        self._parts, label = of_columns(self.name, present, inputs, columns)
        meta = self._opened.metadata
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        if label is not None:
            self.labels = np.asarray(self._opened.read([label]).column(0).to_pylist())

    def __getstate__(self) -> dict[str, object]:
        """Without what is open."""
        return {name: value for name, value in vars(self).items() if name != "_opened"}

    @cached_property
    def _opened(self) -> Any:
        parquet = needed("pyarrow.parquet", f"Reading {Path(self.name).name}")
        arrow = needed("pyarrow", f"Reading {Path(self.name).name}")
        try:
            if isinstance(self._file, RemoteFile):
                return parquet.ParquetFile(self._file.opened(), pre_buffer=True)
            return parquet.ParquetFile(self._file.path, memory_map=True)
        except (arrow.ArrowException, OSError) as error:
            raise InputError(f"{self.name!r} is no readable parquet file: {error}.") from error

    def __len__(self) -> int:
        """Number of rows."""
        return int(self._starts[-1])

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Numbers of some rows."""
        self._file.require()
        start, stop, _ = at.indices(len(self))
        first = int(np.searchsorted(self._starts, start, "right")) - 1
        last = int(np.searchsorted(self._starts, max(stop - 1, start), "right"))
        wanted = [column for names in self._parts.values() for column in names]
        table = self._opened.read_row_groups(list(range(first, last)), columns=wanted)
        part = table.slice(start - int(self._starts[first]), stop - start)
        return {
            name: side_by_side(self.name, [_numbers(part.column(c)) for c in names])
            for name, names in self._parts.items()
        }

    @cached_property
    def digest(self) -> str:
        """Sum of the file's bytes."""
        return self._file.digest


def _numbers(column: Any) -> Any:
    """Values of a column; a missing one is NaN."""
    return column.to_numpy() if column.null_count == 0 else column.to_pandas().to_numpy()


def _require_rows(data: Any) -> None:
    """Refuse what has no rows that can be asked for by number."""
    kind = type(data).__name__
    if isinstance(data, Mapping):
        raise InputError(
            f"A {kind} of {list(data)} is several data sets. Give one: data[{next(iter(data))!r}]."
        )
    if "Iterable" in kind:
        raise InputError(
            f"A {kind} can only be read from its beginning on, and a run reads parts of it in any "
            "order. Give a Dataset: load it without streaming=True, or make one of what you need."
        )


class HuggingFace(Lines):
    """A ``datasets.Dataset`` that the caller has, its columns arrays or numbers.

    Parameters
    ----------
    data : datasets.Dataset
    inputs : {input name: TensorType}
    columns : Columns, optional

    Raises
    ------
    InputError
    """

    name = "the data set given"

    def __init__(
        self, data: Any, inputs: Mapping[str, TensorType], columns: Columns | None = None
    ) -> None:
        _require_rows(data)
        present = list(data.column_names)
        self._parts, label = of_columns(self.name, present, inputs, columns)
        wanted = [column for names in self._parts.values() for column in names]
        self._data = data.with_format("numpy", columns=wanted)
        if label is not None:
            self.labels = np.asarray(data.with_format("numpy", columns=[label])[:][label])

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._data)

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Arrays of some rows."""
        found = self._data[at]
        return {
            name: side_by_side(self.name, [found[c] for c in names])
            for name, names in self._parts.items()
        }

    @cached_property
    def digest(self) -> str:
        """Sum of the numbers, a part at a time."""
        found = sha256(repr((self._parts, len(self))).encode())
        for start in range(0, len(self), AT_ONCE):
            for name, array in self[start : start + AT_ONCE].items():
                found.update(repr((name, array.dtype.str, array.shape)).encode())
                found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def has_pictures(data: Any) -> bool:
    """Whether a ``datasets.Dataset`` has a column of pictures, whose numbers are pixels."""
    if type(data).__module__.partition(".")[0] != "datasets":
        return False
    kinds = (getattr(data, "features", None) or {}).values()
    return any(type(kind).__name__ == "Image" for kind in kinds)
