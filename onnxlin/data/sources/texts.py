"""Tables of text, a sample a row: where rows begin is found once, then any are read."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from onnxlin.data.sources.stacked import LABELS, Lines
from onnxlin.data.sources.unchanged import Unchanged
from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs.columns import Columns, of_inputs, of_one
from onnxlin.inputs.given import only
from onnxlin.inputs.tables import Table, delimiter_of, header_of, hold_unpacked, opened

MARKS = 256
"""Rows from one remembered place of the file to the next."""


class TextTable(Lines):
    """A comma- or tab-separated file, an instance a row; cells as `read_instances` takes them.

    Of one that is packed by gzip what lies before some rows is unpacked each time they are read.

    Parameters
    ----------
    file : path
    inputs : {input name: TensorType}
    columns : Columns, optional
        Names that the columns must have, in the model's order.

    Raises
    ------
    InputError
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        inputs: Mapping[str, TensorType],
        columns: Columns | None = None,
    ) -> None:
        self.name = os.fspath(file)
        self._file = Unchanged(Path(file))
        self._inputs, self._columns = dict(inputs), columns
        known = () if columns is None else columns.names
        self._known = tuple(known) or (tuple(inputs) if len(inputs) > 1 else ())
        self._header: tuple[str, ...] = ()
        self._width = self._count = 0
        self._places, labels = self._index()
        self.labels = np.array(labels) if labels else None
        self.notes = self._read(slice(0, 1))[1]

    def _index(self) -> tuple[list[int], list[str]]:
        """Where every 256th row begins, in bytes, and the cells of the column of labels."""
        places: list[int] = []
        labels: list[str] = []
        at = 0
        with opened(self._file.path) as stream:
            for number, line in enumerate(stream, 1):
                row = self._row(line, number)
                if row is not None and not self._width:
                    self._width, self._header = len(row), header_of(row, self._known)
                    row = None if self._header else row
                if row is not None:
                    self._require_width(row, number)
                    if self._count % MARKS == 0:
                        places.append(at)
                    if self._labelled:
                        labels.append(row[self._header.index(LABELS)].strip())
                    self._count += 1
                at += len(line)
                hold_unpacked(self._file.path, at)
        return places, labels

    def _row(self, line: bytes, number: int) -> list[str] | None:
        """Cells of a line; None where all are empty."""
        try:
            text = line.decode("utf-8-sig")
            if text.count('"') % 2:
                raise InputError(
                    f"{self.name!r}, line {number}: a cell in quotes goes on in the next line. "
                    "Save the table without line breaks in cells, or as parquet."
                )
            row = next(iter(csv.reader([text], delimiter=delimiter_of(self._file.path))), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.name!r}, line {number}: {error}.") from error
        return row if any(row) else None

    def _require_width(self, row: list[str], number: int) -> None:
        if len(row) != self._width:
            raise InputError(
                f"{self.name!r}, line {number}: {len(row)} cells, where the first row has "
                f"{self._width}."
            )

    @cached_property
    def _labelled(self) -> bool:
        return LABELS in self._header and LABELS not in self._known and self._width > 1

    def __len__(self) -> int:
        """Number of rows."""
        return self._count

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Numbers of some rows."""
        return self._read(at)[0]

    def _read(self, at: slice) -> tuple[Mapping[str, Array], tuple[str, ...]]:
        start, stop, _ = at.indices(self._count)
        table = Table(self._file.path, self._header, self._rows(start, stop), start)
        if self._labelled:
            table, _ = table.without(LABELS)
        if len(self._inputs) > 1:
            return of_inputs(table, self._inputs)
        name, _ = only(self._file.path, self._inputs)
        ordered, _, notes = of_one(table, self._columns)
        return {name: ordered.numbers()}, notes

    def _rows(self, start: int, stop: int) -> list[list[str]]:
        self._file.require()
        rows: list[list[str]] = []
        with opened(self._file.path) as stream:
            mark = start // MARKS
            stream.seek(self._places[mark])
            at = mark * MARKS
            for line in stream:
                if at >= stop:
                    break
                row = self._row(line, at + 1)
                if row is not None:
                    if at >= start:
                        rows.append(row)
                    at += 1
        return rows

    @cached_property
    def digest(self) -> str:
        """Sum of the file's bytes."""
        return self._file.digest
