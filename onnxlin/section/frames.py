"""A frame of pandas or polars as x: columns are matched by name, each in its own type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.frames import is_frame, is_series, names_of
from onnxlin.section.numbers import as_array

LISTED = 8  # names in a message


def unframed(x: Any, inputs: Mapping[str, TensorType], features: Sequence[str] = ()) -> Any:
    """Return what a frame, or a row of one, has for a model; anything else as it is.

    Of a model with several inputs each is a column of its name, ``(N, 1, ...)``; of one with a
    single input the columns lie side by side, ``(N, columns)``, in the order of ``features`` where
    these are known, else in their own. Of categories it is the values that count.

    Raises
    ------
    InputError
        Columns are missing, not known, there twice, or hold numbers beside text.
    """
    if is_series(x):
        columns = {str(name): [x.iloc[i]] for i, name in enumerate(x.index)}
        names, twice = tuple(columns), len(columns) < len(x)
    elif is_frame(x):
        names = names_of(x)
        columns = {name: x[own] for name, own in zip(names, x.columns, strict=True)}
        twice = len(set(names)) < len(names)
    else:
        return x
    several = len(inputs) > 1
    wanted = tuple(inputs) if several else tuple(features)
    if twice:
        raise InputError(f"The frame has columns of one name: {list(names)[:LISTED]}.")
    if wanted and set(wanted) != set(names):
        missing = [n for n in wanted if n not in names]
        unknown = [n for n in names if n not in wanted]
        whose = "the model's inputs" if several else 'the model\'s metadata "features"'
        raise InputError(
            f"The frame lacks the columns {missing[:LISTED]} and has {unknown[:LISTED]}, which are "
            f"not known. They are matched by name with {whose}."
        )
    cells = {name: _cells(name, columns[name]) for name in wanted or names}
    if several:
        ranks = {n: 1 if kind.shape is None else len(kind.shape) for n, kind in inputs.items()}
        return {n: v.reshape(len(v), *(1,) * max(ranks[n] - 1, 0)) for n, v in cells.items()}
    return _beside(cells)


def _cells(name: str, column: Any) -> Array:
    """Cells of a column, ``(N,)``: numbers, or text as objects."""
    found = as_array(f"Column {name!r}", column)
    return found.astype(object) if found.dtype.kind in "UT" else found


def _beside(cells: Mapping[str, Array]) -> Array:
    """Columns side by side: all numbers, or all text."""
    text = [name for name, array in cells.items() if array.dtype.kind == "O"]
    if text and len(text) < len(cells):
        raise InputError(
            f"The columns {text[:LISTED]} hold text, and the others numbers; the model has one "
            "input, which takes one of the two. Encode them first."
        )
    found: Array = np.column_stack(list(cells.values()))
    return found
