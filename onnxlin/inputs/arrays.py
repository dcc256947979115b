"""Arrays and tables from files."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType


def read_npy(file: Path) -> Array:
    """Read one array."""
    try:
        found = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{str(file)!r} is not a readable .npy file: {error}.") from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise InputError(f"{str(file)!r} holds several arrays; call it .npz.")
    return found


def read_npz(file: Path, inputs: Mapping[str, TensorType]) -> dict[str, Array]:
    """Read named arrays; one array alone serves a model with one input, whatever its name."""
    found = read_archive(file)
    if len(found) == len(inputs) == 1:
        found = dict(zip(inputs, found.values(), strict=True))
    return {
        name: with_batch(a, inputs[name])[0] if name in inputs else a for name, a in found.items()
    }


def read_archive(file: Path) -> dict[str, Array]:
    """Read named arrays as they are."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(file)!r} is not a readable .npz file: {error}.") from error


def with_batch(array: Array, kind: TensorType) -> tuple[Array, tuple[str, ...]]:
    """Put a batch axis of 1 in front where just that is missing."""
    shape = kind.shape or ()
    if array.ndim + 1 != len(shape) or (isinstance(shape[0], int) and shape[0] != 1):
        return array, ()
    return array[None], ("a batch axis of 1 was put in front",)


def read_table(file: Path, kind: TensorType) -> tuple[Array, tuple[str, ...]]:
    """Read a table of numbers, in the model's input shape, and its header where it has one.

    Parameters
    ----------
    file : path
        Comma- or tab-separated, one instance. A first line that is not all numbers is the header.
    kind : TensorType
        The model's input; an unknown first axis becomes 1 unless the table has the shape itself.
    """
    lines = read_lines(file)
    header = tuple(cell.strip() for cell in lines[0]) if not _numeric(lines[0]) else ()
    numbers = _numbers(file, lines[1:] if header else lines, 2 if header else 1)
    shaped = _shaped(file, numbers, kind)
    return shaped, header if len(header) == numbers.size else ()


def read_rows(file: Path) -> Array:
    """Read a table with an instance a row, ``(rows, columns)``; a header is passed over."""
    lines = read_lines(file)
    header = not _numeric(lines[0])
    return _numbers(file, lines[1:] if header else lines, 2 if header else 1)


def read_lines(file: Path) -> list[list[str]]:
    """Read the cells of a comma- or tab-separated file, without empty lines."""
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            lines = [line for line in csv.reader(text, delimiter=delimiter) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{str(file)!r} is not a readable table: {error}.") from error
    if not lines:
        raise InputError(f"{str(file)!r} is empty; expected a table of numbers.")
    return lines


def _numeric(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


def _numbers(file: Path, lines: list[list[str]], first: int) -> Array:
    for at, line in enumerate(lines, start=first):
        if len(line) != len(lines[0]):
            raise InputError(
                f"{str(file)!r}, row {at}: {len(line)} cells, where the first row has "
                f"{len(lines[0])}."
            )
        wrong = [cell for cell in line if not _numeric([cell])]
        if wrong:
            raise InputError(f"{str(file)!r}, row {at}: {wrong[0]!r} is no number.")
    if not lines:
        raise InputError(f"{str(file)!r} has a header and no numbers.")
    return np.array([[float(cell) for cell in line] for line in lines])


def _shaped(file: Path, numbers: Array, kind: TensorType) -> Array:
    """Bring the numbers to the model's shape and dtype."""
    with np.errstate(invalid="ignore", over="ignore"):
        cast: Array = numbers.astype(kind.dtype) if kind.is_float else numbers.astype(np.int64)
    shape = kind.shape
    if shape is None:
        return cast
    sizes = list(shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = 1
    unknown = [i for i, n in enumerate(sizes) if not isinstance(n, int)]
    if not unknown and cast.size == np.prod([n for n in sizes if isinstance(n, int)], dtype=int):
        return cast.reshape([n for n in sizes if isinstance(n, int)])
    if len(shape) == 2 and all(
        not isinstance(n, int) or n == m for n, m in zip(shape, cast.shape, strict=True)
    ):
        return cast
    raise InputError(
        f"{str(file)!r} holds {cast.shape[0]} x {cast.shape[1]} numbers; the model takes {kind}. "
        "Keep the rows of one instance only, or pass the tensor as .npy."
    )
