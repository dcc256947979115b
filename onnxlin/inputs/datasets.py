"""Read many instances: stacked arrays, tables with an instance a row, folders of pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs import arrays
from onnxlin.inputs.given import PICTURES, TABLES, only, read_input
from onnxlin.inputs.preprocessing import Preprocessing

LABELS = "labels"


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
        The entry "labels" of an ``.npz``.
    notes : tuple of str
        What was done to pictures.
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
) -> Instances:
    """Read a data set for a model with these inputs.

    Parameters
    ----------
    paths : one or more paths
        One ``.npy`` or ``.npz`` of instances stacked on axis 0, one table with an instance a row,
        one folder of pictures (in the order of their names), or pictures.
    inputs : {input name: TensorType}
    preprocessing : Preprocessing, optional
        For pictures only.

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
        found = _stacked(files[0], inputs)
    else:
        found = _pictures(files, inputs, preprocessing)
    lengths = {name: len(stack) for name, stack in found.stacks.items()}
    if len(set(lengths.values())) > 1 or not len(found):
        raise InputError(
            f"{str(paths[0])!r} holds these numbers of instances: {lengths}; expected the same "
            "number for every input, one or more."
        )
    return found


def _stacked(file: Path, inputs: Mapping[str, TensorType]) -> Instances:
    ending = file.suffix.lower()
    if not file.is_file():
        raise InputError(f"No such data: {str(file)!r}.")
    if ending == ".npz":
        found = arrays.read_archive(file)
        labels = found.pop(LABELS, None) if LABELS not in inputs else None
        if len(found) == len(inputs) == 1:
            found = dict(zip(inputs, found.values(), strict=True))
        return Instances({n: _fit(file, a, inputs.get(n)) for n, a in found.items()}, (), labels)
    if ending == ".npy":
        name, kind = only(file, inputs)
        return Instances({name: _fit(file, arrays.read_npy(file), kind)})
    if ending in TABLES:
        name, kind = only(file, inputs)
        return Instances({name: _fit(file, arrays.read_rows(file), kind)})
    raise InputError(
        f"{str(file)!r} ends in {ending or 'nothing'!r}; expected a folder of pictures, pictures, "
        f".npy, .npz, {', '.join(TABLES)}."
    )


def _fit(file: Path, stack: Array, kind: TensorType | None) -> Array:
    """Give rows of numbers the shape of the input, where one instance has just as many."""
    if not stack.ndim:
        raise InputError(f"{str(file)!r} holds a single number; expected instances on axis 0.")
    shape = None if kind is None else kind.shape
    if shape is None or stack.ndim in (len(shape), len(shape) + 1):
        return _cast(stack, kind)
    sizes = [n if isinstance(n, int) else (1 if i == 0 else None) for i, n in enumerate(shape)]
    known = [n for n in sizes if n is not None]
    if len(known) == len(sizes) and prod(known) == prod(stack.shape[1:]):
        return _cast(stack.reshape(len(stack), *known), kind)
    raise InputError(
        f"{str(file)!r} holds {stack.shape[0]} instances of shape {stack.shape[1:]}; the model "
        f"takes {kind}. Stack instances of that shape on axis 0."
    )


def _cast(stack: Array, kind: TensorType | None) -> Array:
    """Tables hold float64; what the model takes is narrower. Overflow is seen when it is fed."""
    with np.errstate(over="ignore"):
        return stack.astype(kind.dtype) if kind is not None and kind.is_float else stack


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
    lines = arrays.read_lines(file)
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
