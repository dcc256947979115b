"""Arrays from files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from onnxlin import archives
from onnxlin.errors import FileError, InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.regular import require_regular


def read_npy(file: Path) -> Array:
    """Read one array."""
    require_regular(file, "array", InputError)
    try:
        found: Array = archives.read_one(file)
    except FileError as error:
        if file.is_file() and zipfile.is_zipfile(file):
            raise InputError(f"{str(file)!r} holds several arrays; call it .npz.") from error
        raise InputError(f"{str(file)!r} is not a readable .npy file: {error}.") from error
    return found


def read_npz(file: Path, inputs: Mapping[str, TensorType]) -> dict[str, Array]:
    """Read named arrays; one array alone serves a model with one input, whatever its name."""
    found = read_archive(file)
    return (
        dict(zip(inputs, found.values(), strict=True)) if len(found) == len(inputs) == 1 else found
    )


def read_archive(file: Path) -> dict[str, Array]:
    """Read named arrays as they are."""
    require_regular(file, "archive", InputError)
    try:
        return archives.read(file)
    except FileError as error:
        raise InputError(f"{str(file)!r} is not a readable .npz file: {error}.") from error


def with_batch(array: Array, kind: TensorType) -> tuple[Array, tuple[str, ...]]:
    """Put a batch axis of 1 in front where just that is missing."""
    shape = kind.shape or ()
    if array.ndim + 1 != len(shape) or (isinstance(shape[0], int) and shape[0] != 1):
        return array, ()
    return array[None], ("a batch axis of 1 was put in front",)


def shaped(file: Path, numbers: Array, kind: TensorType) -> Array:
    """Bring the numbers of a table, ``(rows, columns)``, to the model's shape.

    An unknown first axis becomes 1 unless the table has the shape itself.
    """
    shape = kind.shape
    if shape is None:
        return numbers
    sizes = list(shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = 1
    unknown = [i for i, n in enumerate(sizes) if not isinstance(n, int)]
    if not unknown and numbers.size == np.prod([n for n in sizes if isinstance(n, int)], dtype=int):
        return numbers.reshape([n for n in sizes if isinstance(n, int)])
    if len(shape) == 2 and all(
        not isinstance(n, int) or n == m for n, m in zip(shape, numbers.shape, strict=True)
    ):
        return numbers
    raise InputError(
        f"{str(file)!r} holds {numbers.shape[0]} x {numbers.shape[1]} numbers; the model takes "
        f"{kind}. Keep the rows of one instance only, name one by --sample, or pass the tensor as "
        ".npy."
    )
