"""Tables of text files: rows of cells, with the names of the columns where there are any."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import numpy as np

from onnxlin import limits
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.graph.regular import require_regular

ENDINGS, PACKED = (".csv", ".tsv"), ".gz"
WHOLE = re.compile(r"[-+]?[0-9]+")
ID = "id"
PART = 2**20  # bytes of a table unpacked at once
LISTED = 8  # names in a message


@dataclass(frozen=True, eq=False)
class Table:
    """What a comma- or tab-separated file holds.

    Parameters
    ----------
    file : path
    header : tuple of str
        The names of the columns; empty where the file has none.
    rows : list of lists of str
        All of one length.
    before : int
        Rows of the file that are left out in front of these.
    """

    file: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    before: int = 0

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    def line(self, row: int) -> int:
        """Which line of the file a row is, counted from 1, empty ones left out."""
        return self.before + row + 1 + bool(self.header)

    def by_name(self, names: Sequence[str], of: str) -> tuple[Table, tuple[str, ...]]:
        """Bring the columns into an order of names; return the table, and what was done.

        Parameters
        ----------
        names : sequence of str
            What the columns must be, all of them.
        of : str
            Whose names these are, for the message.

        Raises
        ------
        InputError
            It names the columns that are missing, not known, or there twice.
        """
        if not self.header:
            note = f"{self.file.name} has no header: its columns are taken in the order of {of}"
            return replace(self, header=tuple(names) if len(names) == self.width else ()), (note,)
        twice = [name for name in dict.fromkeys(names) if self.header.count(name) > 1]
        missing = [name for name in names if name not in self.header]
        unknown = [name for name in self.header if name not in names]
        if twice or missing or unknown:
            parts = [
                f"{what} {_listed(found)}"
                for what, found in (
                    ("lacks the columns", missing),
                    ("has columns that are not known,", unknown),
                    ("has more than once", twice),
                )
                if found
            ]
            raise InputError(
                f"{str(self.file)!r} {'; it '.join(parts)}. The columns are matched by name with "
                f"those of {of}: {_listed(names)}. Rename them, or leave out the header to give "
                "them in that order."
            )
        if list(names) == list(self.header):
            return self, ()
        at = [self.header.index(name) for name in names]
        rows = [[row[i] for i in at] for row in self.rows]
        moved = replace(self, header=tuple(names), rows=rows)
        return moved, (f"the columns of {self.file.name} are matched by name with those of {of}",)

    def without(self, name: str) -> tuple[Table, list[str] | None]:
        """Take a column out: what is left, and its cells, None where there is no such column."""
        if name not in self.header or self.width == 1:
            return self, None
        at = self.header.index(name)
        header = self.header[:at] + self.header[at + 1 :]
        rows = [row[:at] + row[at + 1 :] for row in self.rows]
        left = replace(self, header=header, rows=rows)
        return left, [row[at].strip() for row in self.rows]

    def one(self, sample: str, known: Sequence[str] = ()) -> Table:
        """Keep one row: the one of an id, where a column is called so, else the n-th from 0.

        Parameters
        ----------
        sample : str
        known : sequence of str
            Names of features; a column of one of these is no id.

        Raises
        ------
        InputError
            There is no such row, or several.
        """
        ids = [n for n in self.header if n.lower() == ID and n not in known]
        if ids:
            left, cells = self.without(ids[0])
            at = [i for i, cell in enumerate(cells or ()) if cell == sample]
        else:
            left, number = self, int(sample) if sample.isdecimal() else -1
            at = [number] if 0 <= number < len(self.rows) else []
        if len(at) != 1:
            what = f"has {len(at)} rows with the {(ids or [ID])[0]} {sample!r}"
            if not ids:
                last = len(self.rows) - 1
                what = f"has {last + 1} rows, 0 to {last}, and no column called {ID}"
            raise InputError(f"--sample {sample}: {str(self.file)!r} {what}. Name one of them.")
        return replace(left, rows=[left.rows[at[0]]], before=self.before + at[0])

    def column(self, name: str) -> list[str]:
        """Cells of a column, without spaces around them."""
        at = self.header.index(name)
        return [row[at].strip() for row in self.rows]

    def numbers(self) -> Array:
        """All cells as numbers, ``(rows, columns)``: int64 if all are whole, else float64.

        Raises
        ------
        InputError
            It names the line and the column of a cell that is no number.
        """
        for i, row in enumerate(self.rows):
            for j, cell in enumerate(row):
                if not is_number(cell):
                    column = f", column {self.header[j]!r}" if self.header else ""
                    raise InputError(
                        f"{str(self.file)!r}, row {self.line(i)}{column}: {cell!r} is no number."
                    )
        return as_numbers(self.rows)


def as_numbers(cells: Sequence[str] | Sequence[Sequence[str]]) -> Array:
    """Numbers of cells that are such, whole ones as they are where int64 has them."""
    array = np.array(cells, dtype=object)
    if all(WHOLE.fullmatch(cell.strip()) for cell in array.ravel()):
        try:
            return np.array([int(cell) for cell in array.ravel()], np.int64).reshape(array.shape)
        except OverflowError:
            pass  # no input takes such a number but as a float
    return np.array([float(cell) for cell in array.ravel()]).reshape(array.shape)


def read_table(file: Path, known: Sequence[str] = ()) -> Table:
    """Read a comma- or tab-separated file, without empty lines.

    Parameters
    ----------
    file : path
        A first line that holds text is the header.
    known : sequence of str
        Names that the columns may have: a first line of just these is a header even if they look
        like numbers.

    Raises
    ------
    InputError
    """
    lines = read_lines(file)
    header = header_of(lines[0], known)
    table = Table(file, header, lines[1:] if header else lines)
    if not table.rows:
        raise InputError(f"{str(file)!r} has a header and no numbers.")
    for i, row in enumerate(table.rows):
        if len(row) != len(lines[0]):
            raise InputError(
                f"{str(file)!r}, row {table.line(i)}: {len(row)} cells, where the first row has "
                f"{len(lines[0])}."
            )
    return table


def header_of(line: Sequence[str], known: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the columns, if that is what the first line of a table holds; see `read_table`."""
    first = [cell.strip() for cell in line]
    named = any(cell and not is_number(cell) for cell in first)
    return tuple(first) if named or (bool(known) and sorted(first) == sorted(known)) else ()


def delimiter_of(file: Path) -> str:
    """What is between the cells of a table, by the ending of its name."""
    return "\t" if ending_of(file) == ".tsv" else ","


def read_lines(file: Path) -> list[list[str]]:
    """Read the cells of a comma- or tab-separated file, without empty lines."""
    delimiter = delimiter_of(file)
    require_regular(file, "table", InputError)
    try:
        with _text(file) as text:
            lines = [line for line in csv.reader(text, delimiter=delimiter) if any(line)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{str(file)!r} is not a readable table: {error}.") from error
    if not lines:
        raise InputError(f"{str(file)!r} is empty; expected a table of numbers.")
    return lines


def _text(file: Path) -> TextIO:
    """Open a table; one that is packed by gzip up to the limit of what may be unpacked."""
    if file.suffix.lower() != PACKED:
        return file.open(newline="", encoding="utf-8-sig")
    data = bytearray()
    with opened(file) as packed:
        while part := packed.read(PART):
            data += part
            hold_unpacked(file, len(data))
    return io.StringIO(data.decode("utf-8-sig"), newline="")


def opened(file: Path) -> BinaryIO:
    """Open a table for its bytes; those of one that is packed by gzip are unpacked."""
    packed = file.suffix.lower() == PACKED
    return cast("BinaryIO", gzip.open(file)) if packed else file.open("rb")


def hold_unpacked(file: Path, size: int) -> None:
    """Hold what a packed table comes to, so far, to the limit of what may be unpacked.

    Raises
    ------
    LimitError
    """
    if file.suffix.lower() == PACKED:
        limits.hold("unpacked_bytes", size, f"{str(file)!r} unpacks to {size:,} bytes or more")


def ending_of(file: Path) -> str:
    """The ending that tells what a file holds: of ``x.csv.gz`` it is ``.csv``."""
    ending = file.suffix.lower()
    inner = file.with_suffix("").suffix.lower()
    return inner if ending == PACKED and inner in ENDINGS else ending


def is_number(cell: str) -> bool:
    """Whether a cell is a number; Python's "1_000" is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(repr(name) for name in names[:LISTED]) + more
