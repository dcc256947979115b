"""Columns of a table matched by name with what the model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs.tables import Table, as_numbers, is_number
from onnxlin.section.numbers import fitted


@dataclass(frozen=True)
class Columns:
    """Names of columns in the model's order.

    Parameters
    ----------
    names : tuple of str
    of : str
        Whose they are, in words.
    """

    names: tuple[str, ...]
    of: str


def of_one(table: Table, columns: Columns | None) -> tuple[Table, Columns | None, tuple[str, ...]]:
    """Bring a table for one input into the model's order of columns.

    Returns
    -------
    table, columns, notes
        The columns are those asked for, else the table's own.

    Raises
    ------
    InputError
        It names the columns that are missing, or not known.
    """
    if columns is not None:
        ordered, notes = table.by_name(columns.names, columns.of)
        return ordered, columns, notes
    own = Columns(table.header, table.file.name) if table.header else None
    return table, own, ()


def of_inputs(
    table: Table, inputs: Mapping[str, TensorType]
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Read a table whose columns are the inputs: ``{input: array (N, ...)}``, and what was done.

    Raises
    ------
    InputError
        An input takes more than a column, or there are no names; it names the columns that are
        missing or not known, and a cell that does not fit.
    """
    wide = [f"{name!r}: {kind}" for name, kind in inputs.items() if _width(kind) != 1]
    if wide or not table.header:
        listed = ", ".join(wide or (f"{name!r}: {kind}" for name, kind in inputs.items()))
        why = "these take more than a column each" if wide else "the table has no header"
        raise InputError(
            f"{table.file.name} is one table, but the model has {len(inputs)} inputs, and {why}: "
            f"{listed}. Give an .npz that holds all inputs under their names."
        )
    ordered, notes = table.by_name(tuple(inputs), "the model's inputs")
    return {name: _column(ordered, name, kind) for name, kind in inputs.items()}, notes


def _width(kind: TensorType) -> int:
    """How many numbers of an instance an input takes; lengths that are open count as 1."""
    return int(np.prod([n for n in kind.shape or () if isinstance(n, int)], dtype=np.int64))


def _column(table: Table, name: str, kind: TensorType) -> Array:
    """Cells of a column for the input of its name, ``(N, *shape)``."""
    cells = table.column(name)
    shape = tuple(1 for _ in kind.shape or ())
    if kind.dtype.kind == "O":
        return np.array(cells, dtype=object).reshape(len(cells), *shape)
    for i, cell in enumerate(cells):
        if not is_number(cell):
            raise InputError(
                f"{str(table.file)!r}, row {table.line(i)}, column {name!r}: {cell!r} is no "
                f"number; the model takes {kind}."
            )
    found = fitted(f"Column {name!r} of {table.file.name}", as_numbers(cells), kind.dtype)
    return found.reshape(len(cells), *shape)
