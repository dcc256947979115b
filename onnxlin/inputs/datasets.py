"""Read many instances: stacked arrays, tables with an instance a row, folders of pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.regular import require_regular
from onnxlin.inputs import arrays
from onnxlin.inputs.columns import Columns, of_inputs, of_one
from onnxlin.inputs.given import LABELS, PICTURES, TABLES, only, read_input
from onnxlin.inputs.preprocessing import Preprocessing
from onnxlin.inputs.raw import Arrays
from onnxlin.inputs.stacks import fit_stacks
from onnxlin.inputs.tables import ending_of, read_lines, read_table


@dataclass(frozen=True, eq=False)
class Instances:
    """N instances of a model.

    Parameters
    ----------
    stacks : {input name: array (N, ...)}
        As `Linearizer.map` takes them.
    names : tuple of str
        Of the files, where every instance is one.
    labels : array (N,), optional
        The entry "labels" of an ``.npz``, or the column of that name, text as it stands there.
    notes : tuple of str
        What was done to the numbers.
    """

    stacks: Mapping[str, Array]
    names: tuple[str, ...] = ()
    labels: Array | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return min((len(stack) for stack in self.stacks.values()), default=0)

    def first(self, count: int | None) -> Instances:
        """Keep the first instances."""
        stacks = {name: stack[:count] for name, stack in self.stacks.items()}
        labels = None if self.labels is None else self.labels[:count]
        return Instances(stacks, self.names[:count], labels, self.notes)


def read_instances(
    paths: Sequence[str | os.PathLike[str]],
    inputs: Mapping[str, TensorType],
    preprocessing: Preprocessing | None = None,
    *,
    columns: Columns | None = None,
) -> Instances:
    """Read a data set for a model with these inputs.

    Parameters
    ----------
    paths : one or more paths
        One ``.npy`` or ``.npz`` of instances stacked on axis 0, one table with an instance a row,
        one folder of pictures (in the order of their names), or pictures.
    inputs : {input name: TensorType}
    preprocessing, columns
        As for `read_input`.

    Raises
    ------
    InputError
        There is nothing to read, or it does not fit the model.
    """
    files = [Path(path) for path in paths]
    if len(files) == 1 and files[0].is_dir():
        files = sorted(file for file in files[0].iterdir() if file.suffix.lower() in PICTURES)
        if not files:
            raise InputError(
                f"{str(paths[0])!r} holds no pictures ({', '.join(PICTURES)}). Stacked arrays are "
                "given as one .npy or .npz file."
            )
    if len(files) == 1 and files[0].suffix.lower() not in PICTURES:
        found = _stacked(files[0], inputs, Arrays(preprocessing), columns)
    else:
        found = _pictures(files, inputs, preprocessing)
    lengths = {name: len(stack) for name, stack in found.stacks.items()}
    if len(set(lengths.values())) > 1 or not len(found):
        raise InputError(
            f"{str(paths[0])!r} holds these numbers of instances: {lengths}; expected the same "
            "number for every input, one or more."
        )
    return found


def _stacked(
    file: Path, inputs: Mapping[str, TensorType], taken: Arrays, columns: Columns | None
) -> Instances:
    ending = ending_of(file)
    require_regular(file, "data set", InputError)
    if not file.is_file():
        raise InputError(f"No such data: {str(file)!r}.")
    if ending == ".npz":
        found = arrays.read_archive(file)
        labels = found.pop(LABELS, None) if LABELS not in inputs else None
        if len(found) == len(inputs) == 1:
            found = dict(zip(inputs, found.values(), strict=True))
        return _fitted(file, found, inputs, taken, labels=labels)
    if ending == ".npy":
        name, _ = only(file, inputs)
        return _fitted(file, {name: arrays.read_npy(file)}, inputs, taken)
    if ending in TABLES:
        return _table(file, inputs, columns, taken)
    raise InputError(
        f"{str(file)!r} ends in {ending or 'nothing'!r}; expected a folder of pictures, pictures, "
        f".npy, .npz, {', '.join(TABLES)}."
    )


def _table(
    file: Path, inputs: Mapping[str, TensorType], columns: Columns | None, taken: Arrays
) -> Instances:
    """An instance a row, its columns by name where there are names."""
    table, labels = read_table(file, () if columns is None else columns.names), None
    if LABELS not in (*inputs, *(() if columns is None else columns.names)):
        table, labels = table.without(LABELS)
    answers = None if labels is None else np.array(labels)
    if len(inputs) > 1:
        stacks, notes = of_inputs(table, inputs)
        return Instances(stacks, (), answers, notes)
    name, _ = only(file, inputs)
    ordered, _, notes = of_one(table, columns)
    numbers = ordered.numbers()
    return _fitted(file, {name: numbers}, inputs, taken, labels=answers, notes=notes)


def _fitted(
    file: Path,
    found: Mapping[str, Array],
    inputs: Mapping[str, TensorType],
    taken: Arrays,
    *,
    labels: Array | None = None,
    notes: tuple[str, ...] = (),
) -> Instances:
    stacks, said, _ = fit_stacks(file, found, inputs, taken)
    return Instances(stacks, (), labels, (*notes, *said))


def _pictures(
    files: Sequence[Path], inputs: Mapping[str, TensorType], how: Preprocessing | None
) -> Instances:
    given = []
    for file in files:
        if file.suffix.lower() not in PICTURES:
            raise InputError(f"Several files must all be pictures; {str(file)!r} is none.")
        given.append(read_input(file, inputs, how))
    name, first = next(iter(given[0].feeds.items()))
    shapes = {each.feeds[name].shape: file for each, file in zip(given, files, strict=True)}
    if len(shapes) > 1:
        sizes = ", ".join(f"{shape} ({file.name})" for shape, file in shapes.items())
        raise InputError(
            f"The model takes any size, and the pictures have several: {sizes}. Bring them to one "
            "size first."
        )
    notes = tuple(dict.fromkeys(note for each in given for note in each.notes))
    stack = np.concatenate([each.feeds[name] for each in given]) if first.shape[0] == 1 else (
        np.stack([each.feeds[name] for each in given])
    )  # fmt: skip
    return Instances({name: stack}, tuple(file.name for file in files), None, notes)


def read_labels(path: str | os.PathLike[str], names: Sequence[str] = ()) -> list[str]:
    """Read one label for each instance: class indices or names, as text.

    Parameters
    ----------
    path : path
        ``.npy`` of integers, or text with a label a line. Lines ``file,label`` are looked up by
        the names of the files, in any order.
    names : sequence of str
        Of the files that are the instances.

    Raises
    ------
    InputError
    """
    file = Path(path)
    require_regular(file, "file of labels", InputError)
    if not file.is_file():
        raise InputError(f"No such file of labels: {str(path)!r}.")
    if file.suffix.lower() == ".npy":
        found = arrays.read_npy(file)
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise InputError(
                f"{str(path)!r} has shape {found.shape} and dtype {found.dtype}; expected one "
                "integer for each instance."
            )
        return [str(label) for label in found]
    lines = read_lines(file)
    if all(len(line) == 1 for line in lines):
        return [line[0].strip() for line in lines]
    pairs = {line[0].strip(): line[-1].strip() for line in lines if len(line) == 2}
    missing = [name for name in names if name not in pairs]
    if not names or missing:
        raise InputError(
            f"{str(path)!r} has several columns, and no label for "
            f"{missing[:5] or 'data that is not a set of picture files'}. Give one label a line, "
            "or lines of file,label."
        )
    return [pairs[name] for name in names]
