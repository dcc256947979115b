"""What explain and verify share: the model, the instance, the rows, and names for outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnxlin import archives
from onnxlin.cli import arguments
from onnxlin.cli.screen import Progress
from onnxlin.errors import FileError, RowsError
from onnxlin.files import folder_of
from onnxlin.graph import Array
from onnxlin.graph.regular import require_regular
from onnxlin.graph.told import CLASSES, CLASSES_FROM, metadata_of
from onnxlin.inputs import Given, Preprocessing, read_input
from onnxlin.inputs.classes import read_classes
from onnxlin.inputs.preprocessing import CHOICES, KEY
from onnxlin.inputs.processor import read_processor
from onnxlin.inputs.told import columns_of, metadata, preprocessing_of
from onnxlin.linearizer import Linearizer
from onnxlin.load import read as read_model
from onnxlin.readings.row.summary import top

if TYPE_CHECKING:
    from onnxlin.data import Source

MANY_OUTPUTS = 1000
LARGE_MAP = 2**24  # entries of W
STRONGEST = 5


def linearizer(options: Any) -> Linearizer:
    """Load the model that the command line names, with the names of classes that it gives."""
    return Linearizer(
        _named(options),
        inputs=options.inputs,
        outputs=options.outputs,
        mode=options.mode,
        rounding=options.rounding,
        gates=dict(options.gates),
        memory=options.memory,
        providers=getattr(options, "providers", None),
    )


def _named(options: Any) -> str | onnx.ModelProto:
    """The model, its classes named as asked."""
    path: str = options.model
    name = getattr(options, "class_names", None)
    if name is None:
        return path
    found, model = read_classes(name), read_model(path)
    told = metadata_of(model)
    own = {CLASSES: json.dumps(found), CLASSES_FROM: name}
    onnx.helper.set_model_props(model, told | own)
    return model


def given(options: Any, lin: Linearizer, like: Given | None = None) -> Given:
    """Read the input file that the command line names, as another was read where there is one."""
    return read(options, lin, options.input, like, sample=getattr(options, "sample", None))


def read(
    options: Any,
    lin: Linearizer,
    path: str,
    like: Given | None = None,
    sample: str | None = None,
) -> Given:
    """Read a file as an instance of the model: x, a baseline, the end of a path."""
    how = preprocessing(options, lin, path)
    return read_input(
        path,
        lin.graph.inputs,
        how,
        columns=columns_of(lin.graph),
        like=like,
        tokenizer=options.vocabulary,
        sample=sample,
    )


def preprocessing(options: Any, lin: Linearizer, path: str) -> Preprocessing | None:
    """Say how pixels are scaled."""
    names = ("scale", "mean", "std", *CHOICES)
    wanted = {name: getattr(options, name, None) for name in names}
    told = metadata(lin.graph)
    if getattr(options, "preprocessor", None) is not None:
        told = {**told, KEY: json.dumps(read_processor(options.preprocessor))}
    return preprocessing_of(told, path, **wanted)


def source(options: Any, lin: Linearizer, paths: list[str], labels: str | None = None) -> Source:
    """Open the data set that the command line names, to be read in parts."""
    from onnxlin.data import open_source  # SciPy and more, for those that need it

    how = preprocessing(options, lin, paths[0])
    data: Any = paths if len(paths) > 1 else paths[0]
    columns = columns_of(lin.graph)
    storage = arguments.storage_options(options)
    return open_source(
        data, lin.graph.inputs, how, columns=columns, labels=labels, storage_options=storage
    )


@dataclass(frozen=True)
class Rows:
    """Which rows to compute: None for all, indices, or a matrix; and why."""

    rows: Array | None
    note: str = ""


def choose_rows(
    text: str | None, classes: Sequence[int], y: Array, columns: int, span: slice = slice(0, None)
) -> Rows:
    """Read ``--rows``; without it take all rows, or the strongest where W would be large.

    Parameters
    ----------
    text : str, optional
    classes : sequence of int
        Outputs that must be among them.
    y : array (n_out,)
        The outputs.
    columns : int
        Number of input features.
    span : slice
        Outputs of which the strongest are taken.
    """
    size, some = len(y), y[span]
    if text is None:
        if size <= MANY_OUTPUTS and size * columns <= LARGE_MAP and len(some) == size:
            return Rows(None)
        strongest = [span.start + i for i in top(some, STRONGEST)]
        chosen = list(dict.fromkeys([*strongest, *classes]))
        where = "" if len(some) == size else " at this position"
        note = (
            f"{len(chosen)} of {size:,} rows: the {len(strongest)} strongest outputs{where} and "
            f"those asked for, as all of W is {size:,} x {columns:,}. --rows all computes every row"
        )
        return Rows(np.array(chosen, dtype=np.int64), note)
    if text == "all":
        return Rows(None)
    if text.endswith(".npy"):
        return Rows(_matrix(text))
    return Rows(np.array([*dict.fromkeys([*_indices(text, size), *classes])], dtype=np.int64))


def _matrix(path: str) -> Array:
    require_regular(path, "matrix of --rows", RowsError)
    try:
        found: Array = archives.read_one(path)
    except FileError as error:
        raise RowsError(f"--rows {path!r} is not a readable .npy file: {error}.") from error
    return found


def _indices(text: str, size: int) -> list[int]:
    """Read ``0,3,5:9``; the end of a range is left out, as in Python."""
    found: list[int] = []
    for part in text.split(","):
        try:
            ends = [int(end) if end.strip() else None for end in part.split(":")]
        except ValueError:
            ends = [None]
        if ends == [None] or len(ends) > 2:
            raise RowsError(f'--rows {text!r}: {part!r} is no index; expected "all" or "0,3,5:9".')
        wrong = [end for end in ends if end is not None and not -size <= end < size + len(ends) - 1]
        if wrong:
            raise RowsError(
                f"--rows {text!r}: {wrong[0]} is out of range; there are {size} outputs."
            )
        many = len(ends) == 2
        found += range(*slice(*ends).indices(size)) if many else [int(ends[0] or 0) % size]
    return found


def linearise(
    lin: Linearizer,
    feeds: Mapping[str, Array],
    rows: Array | None,
    options: Any,
    save: Path | None = None,
) -> Any:
    """Compute the map under a progress display; W and its bound are ready when this returns.

    Parameters
    ----------
    save : path, optional
        The file into which W is computed.
    """
    if save is not None:
        folder_of(save, "Give another --out, or --no-files.")
    # What goes to a file is told as one count.
    phases = ("rows of W", "bounds of rows") if save is None else ("sweeps for W and bounds",)
    with Progress(*phases) as progress:
        m = lin(dict(feeds), rows, options.engine, options.dtype, progress=progress, save=save)
        m.W  # noqa: B018  # computed on first access, which is what takes time
        progress.next()
        m.error_bound  # noqa: B018
    return m
