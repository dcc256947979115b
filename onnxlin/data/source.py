"""What a data set is to those who read it in parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnxlin.errors import DataError
from onnxlin.graph import Array


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples that lie side by side.

    Parameters
    ----------
    stacks : {input name: array (n, ...)}
        In the model's own dtypes, prepared; what is at a sample with an error is not to be used.
    errors : {int: str}
        Position in the part of each sample that cannot be read, and why.
    notes : tuple of str
        What is done to the numbers of these, beside the notes of the source.
    """

    stacks: Mapping[str, Array]
    errors: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return min((len(stack) for stack in self.stacks.values()), default=0)


class Source(ABC):
    """N samples of a model that are read in parts, each part when it is asked for.

    It is pickled without what it has open: a worker opens the files anew. How numbers are to be
    taken (pixels, or prepared already) is decided once, from the first samples, and is part of it.

    Attributes
    ----------
    labels : array (N,) or None
        Class indices, or text as it stands in the data.
    names : sequence of str
        Of the samples, where they have any.
    notes : tuple of str
        What is done to the numbers.
    """

    labels: Array | None = None
    names: Sequence[str] = ()
    notes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def __getitem__(self, at: slice) -> Part:
        """Read some samples; one that cannot be read is an entry of ``errors``.

        Raises
        ------
        DataError
            The source as a whole is gone, or is not what it was when the run began.
        """

    @property
    @abstractmethod
    def digest(self) -> str:
        """Name of the data by their contents, and of how they are taken: sha256.

        The same in every process and on every machine that has the same data.
        """


def changed(name: str) -> DataError:
    """Say that what is read has changed under a run."""
    return DataError(
        f"{name!r} has changed since the run began: what is done would not fit what is to come. "
        "Bring it back and use --resume, or begin anew with --overwrite."
    )
