"""Folders of pictures: read one by one, labels by the folders that they lie in or by a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from onnxlin.data.source import Part, Source
from onnxlin.data.sources.unchanged import Unchanged
from onnxlin.errors import InputError, OnnxlinError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs.given import PICTURES, Given, read_input
from onnxlin.inputs.preprocessing import Preprocessing


class Pictures(Source):
    """Pictures of a folder, of the folders in it, or by their paths.

    Parameters
    ----------
    paths : sequence of paths
        One folder, or pictures. Those that lie in folders of the folder have its name for a label.
    inputs : {input name: TensorType}
    preprocessing : Preprocessing, optional

    Raises
    ------
    InputError
        There are no pictures, or none of the first ones can be read.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        inputs: Mapping[str, TensorType],
        preprocessing: Preprocessing | None = None,
    ) -> None:
        files, folder = _found([Path(path) for path in paths])
        self._files = [Unchanged(file) for file in files]
        self._inputs, self._how = dict(inputs), preprocessing
        self.names = [str(file.relative_to(folder)) if folder else file.name for file in files]
        self.labels = _labels(files, folder)
        self._like, self.notes = self._first()

    def _first(
        self,
    ) -> tuple[dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]], tuple[str, ...]]:
        """Shapes and types of the first picture that can be read, and what is done to it."""
        error: OnnxlinError | None = None
        for file in self._files[:LOOKED_AT]:
            try:
                given = self._read(file)
            except OnnxlinError as found:
                error = error or found
            else:
                like = {name: (value.shape, value.dtype) for name, value in given.feeds.items()}
                return like, given.notes
        raise InputError(f"None of the first pictures can be read. The first: {error}")

    def _read(self, file: Unchanged) -> Given:
        file.require()
        return read_input(file.path, self._inputs, self._how)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._files)

    def __getitem__(self, at: slice) -> Part:
        """Read some pictures; one that is broken, gone or changed is an error of its own."""
        files = self._files[at]
        shapes = {
            name: shape[1:] if shape[:1] == (1,) else shape
            for name, (shape, _) in self._like.items()
        }
        stacks = {n: np.zeros((len(files), *shapes[n]), self._like[n][1]) for n in shapes}
        errors, notes = dict[int, str](), dict[str, None]()
        for i, file in enumerate(files):
            try:
                given = self._read(file)
                for name, stack in stacks.items():
                    stack[i] = given.feeds[name].reshape(shapes[name])
            except (OnnxlinError, ValueError) as error:
                errors[i] = _why(error, file.path, shapes)
            else:
                notes |= dict.fromkeys(given.notes)
        return Part(stacks, errors, tuple(notes))

    @cached_property
    def digest(self) -> str:
        """Sum of the names, of every file's bytes, and of what is done to them."""
        found = sha256(repr((self._how, sorted(self._inputs))).encode())
        for name, file in zip(self.names, self._files, strict=True):
            found.update(repr((name, file.digest)).encode())
        return found.hexdigest()


LOOKED_AT = 16
"""First pictures, of which one must be readable."""


def _why(error: Exception, file: Path, shapes: Mapping[str, tuple[int, ...]]) -> str:
    if isinstance(error, OnnxlinError):
        return str(error)
    return f"{str(file)!r} has another size than the first picture, which became {shapes}."


def _found(paths: list[Path]) -> tuple[list[Path], Path | None]:
    """Pictures in the order of their names, and the folder that they are of."""
    if len(paths) != 1 or not paths[0].is_dir():
        strange = [path for path in paths if path.suffix.lower() not in PICTURES]
        if strange:
            raise InputError(
                f"Several files must all be pictures; {str(strange[0])!r} is none "
                f"({', '.join(PICTURES)})."
            )
        return paths, None
    files = sorted(file for file in _below(paths[0]) if file.suffix.lower() in PICTURES)
    if not files:
        raise InputError(
            f"{str(paths[0])!r} holds no pictures ({', '.join(PICTURES)}), nor do its folders. "
            "Stacked arrays are given as .npy, .npz or zarr."
        )
    return files, paths[0]


def _below(folder: Path) -> Iterator[Path]:
    """Files of a folder, and of the folders in it."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from (file for file in sorted(path.iterdir()) if file.is_file())
        elif path.is_file():
            yield path


def _labels(files: Sequence[Path], folder: Path | None) -> Array | None:
    """Names of the folders that the pictures lie in, if all lie in such."""
    if folder is None or any(file.parent == folder for file in files):
        return None
    return np.array([file.parent.name for file in files])
