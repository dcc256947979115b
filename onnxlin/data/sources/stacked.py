"""Samples stacked on axis 0 of arrays, wherever these lie."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from onnxlin import archives
from onnxlin.data.source import Part, Source
from onnxlin.data.sources.unchanged import Unchanged
from onnxlin.errors import DataError, FileError, InputError
from onnxlin.graph import Array, TensorType
from onnxlin.inputs.preprocessing import Preprocessing
from onnxlin.inputs.raw import Arrays
from onnxlin.inputs.stacks import fit_stacks

LABELS = "labels"
LOOKED_AT = 256
"""First samples, whose numbers tell how all are taken."""


class Lines(ABC):
    """Arrays with a sample a line, of which some can be had at a time."""

    name: str
    """Where they come from, for messages."""
    labels: Array | None = None
    """One for each sample, where they are beside the data."""
    notes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Arrays of some samples, by the names of the model's inputs."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Name of the contents."""


class Stacked(Source):
    """Lines, brought to what a model takes a part at a time.

    Parameters
    ----------
    lines : Lines
    inputs : {input name: TensorType}
    preprocessing : Preprocessing, optional
    """

    def __init__(
        self,
        lines: Lines,
        inputs: Mapping[str, TensorType],
        preprocessing: Preprocessing | None = None,
    ) -> None:
        self._lines = lines
        self._inputs = dict(inputs)
        self._taken = Arrays(preprocessing)
        self.labels = lines.labels
        if not len(lines):
            raise InputError(f"{lines.name!r} holds no samples; expected one or more.")
        first, notes, pixels = self._looked_at()
        self._first = {name: stack[:1] for name, stack in first.items()}
        self._taken = Arrays(preprocessing, pixels)
        self.notes = (*lines.notes, *notes)

    def _looked_at(self) -> tuple[dict[str, Array], tuple[str, ...], bool | None]:
        """Bring the first samples to the model, or the first that fits.

        Raises
        ------
        InputError
            None of them fits.
        """
        few = min(LOOKED_AT, len(self._lines))
        try:
            return self._fit(self._lines[:few])
        except DataError:
            raise
        except InputError as error:
            for i in range(few):
                with suppress(InputError):
                    return self._fit(self._lines[i : i + 1])
            raise error

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._lines)

    def __getitem__(self, at: slice) -> Part:
        """Read some samples; see `Source`."""
        try:
            return Part(self._fit(self._lines[at])[0])
        except DataError:
            raise
        except InputError:
            return self._one_by_one(range(*at.indices(len(self))))

    def _one_by_one(self, places: range) -> Part:
        """Tell the samples that fit from those that do not."""
        good: dict[int, dict[str, Array]] = {}
        errors: dict[int, str] = {}
        for i, place in enumerate(places):
            try:
                good[i] = self._fit(self._lines[place : place + 1])[0]
            except DataError:
                raise
            except InputError as error:
                errors[i] = str(error)
        like = next(iter(good.values()), self._first)
        stacks = {
            name: np.concatenate([good.get(i, like)[name] for i in range(len(places))])
            for name in like
        }
        return Part(stacks, errors)

    def _fit(
        self, found: Mapping[str, Array]
    ) -> tuple[dict[str, Array], tuple[str, ...], bool | None]:
        arrays = {name: np.asarray(stack) for name, stack in found.items()}
        return fit_stacks(Path(self._lines.name), arrays, self._inputs, self._taken)

    @cached_property
    def digest(self) -> str:
        """See `Source`."""
        return sha256(repr((self._lines.digest, self._taken)).encode()).hexdigest()


class InMemory(Lines):
    """Arrays that the caller has.

    Parameters
    ----------
    arrays : {input name: array (N, ...)}
    labels : array (N,), optional
    """

    name = "the arrays given"

    def __init__(self, arrays: Mapping[str, Array], labels: Array | None = None) -> None:
        self._arrays = dict(arrays)
        self.labels = labels
        _require_one_length(self.name, self._arrays)

    def __len__(self) -> int:
        """Number of samples."""
        return min(len(array) for array in self._arrays.values())

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Views."""
        return {name: array[at] for name, array in self._arrays.items()}

    @cached_property
    def digest(self) -> str:
        """Sum of names, types, shapes and bytes."""
        found = sha256()
        for name, array in sorted(self._arrays.items()):
            found.update(repr((name, array.dtype.str, array.shape)).encode())
            for line in array:
                found.update(np.ascontiguousarray(line).tobytes())
        return found.hexdigest()


class InFile(Lines):
    """Arrays of an ``.npy`` or ``.npz`` file, mapped to memory where they are not packed.

    Parameters
    ----------
    file : path
    inputs : {input name: TensorType}
        The entry "labels" of an ``.npz`` is no sample, unless it is one of these.

    Raises
    ------
    InputError
    """

    def __init__(self, file: str | os.PathLike[str], inputs: Mapping[str, TensorType]) -> None:
        self.name = os.fspath(file)
        self._file = Unchanged(Path(file))
        self._wanted = list(inputs)
        arrays = self._arrays
        self.labels = self._labels(arrays)
        _require_one_length(self.name, {n: a for n, a in arrays.items() if n in self._named})
        self.notes = self._packed_note()

    def __getstate__(self) -> dict[str, object]:
        """Without what is mapped: whoever gets it maps the file anew."""
        return {name: value for name, value in vars(self).items() if name not in ("_arrays",)}

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        return read_mapped(self._file.path)

    @cached_property
    def _named(self) -> dict[str, str]:
        return inputs_of(self._arrays, self._wanted)

    def _labels(self, arrays: Mapping[str, Array]) -> Array | None:
        return None if LABELS in self._wanted or LABELS not in arrays else np.array(arrays[LABELS])

    def _packed_note(self) -> tuple[str, ...]:
        kept = [name for name, array in self._arrays.items() if not isinstance(array, np.memmap)]
        kept = [name for name in kept if name in self._named and self._arrays[name].size]
        if not kept:
            return ()
        size = sum(self._arrays[name].nbytes for name in kept)
        return (f"{Path(self.name).name} is packed: {size / 2**20:,.0f} MiB are in memory at once",)

    def __len__(self) -> int:
        """Number of samples."""
        return min((len(self._arrays[name]) for name in self._named), default=0)

    def __getitem__(self, at: slice) -> Mapping[str, Array]:
        """Some samples, once the file is known to be what it was."""
        self._file.require()
        found = {its: np.array(self._arrays[name][at]) for name, its in self._named.items()}
        for name in self._named:
            archives.let_go(self._arrays[name])
        return found

    @cached_property
    def digest(self) -> str:
        """Sum of the file's bytes."""
        return self._file.digest


def inputs_of(names: Iterable[str], wanted: Sequence[str]) -> dict[str, str]:
    """Name in the data -> name of the input; one array alone serves one input.

    The array "labels" is none, unless it is wanted.
    """
    kept = [name for name in names if name != LABELS or LABELS in wanted]
    alone = len(kept) == len(wanted) == 1
    return dict(zip(kept, wanted if alone else kept, strict=True))


def read_mapped(file: Path) -> dict[str, Array]:
    """Arrays of a file, mapped where they can be; that of an ``.npy`` has the name "".

    Raises
    ------
    InputError
    """
    try:
        if file.suffix.lower() == ".npy":
            return {"": archives.read_one(file, mapped=True)}
        packed = archives.packed(file)
        return archives.read(file, [name for name in archives.names(file) if name not in packed])
    except FileError as error:
        kind = file.suffix.lower()
        raise InputError(f"{str(file)!r} is not a readable {kind} file: {error}.") from error


def _require_one_length(name: str, arrays: Mapping[str, Array]) -> None:
    lengths = {key: len(array) if array.ndim else 0 for key, array in arrays.items()}
    if not lengths or len(set(lengths.values())) > 1 or not min(lengths.values()):
        raise InputError(
            f"{name!r} holds these numbers of samples: {lengths}; expected the same number for "
            "every input, one or more."
        )
