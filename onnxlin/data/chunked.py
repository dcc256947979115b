"""What is done to each chunk of a data set, whatever it is: samples become arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from onnxlin.data.kept import Layout, Variable
from onnxlin.data.order import Order
from onnxlin.data.source import Part, Source
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer


@dataclass(frozen=True, eq=False)
class Done:
    """One chunk.

    Parameters
    ----------
    arrays : {variable's name: array (n, ...)}
    errors : {int: str}
        Position in the chunk of each sample that has no map, and why.
    outputs : array (n, outputs)
        F(x), NaN where it is not known.
    notes : tuple of str
        What was done to some of the samples, beyond the source's own notes.
    """

    arrays: Mapping[str, Array]
    errors: Mapping[int, str]
    outputs: Array
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Chunked(ABC):
    """What a run does to any of its chunks; it is pickled, and opens its model where it works.

    Parameters
    ----------
    lin : Linearizer
    source : Source
    order : Order
    layout : Layout
    labels : integer array (N,) or None
        Outputs that the labels name.
    """

    lin: Linearizer
    source: Source
    order: Order
    layout: Layout
    labels: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    @abstractmethod
    def variables(self) -> tuple[Variable, ...]:
        """The arrays that are made; "failed" and "residual" are among them."""

    @abstractmethod
    def __call__(self, at: slice) -> Done:
        """Do it to the samples of one chunk.

        Raises
        ------
        InputError
            The source as a whole is gone, or is not what it was.
        """

    @cached_property
    def options(self) -> dict[str, Any]:
        """Of the quantities."""
        return dict(self.order.options)


def part_of(source: Source, at: slice) -> Part:
    """Read some samples, each of which is needed.

    Raises
    ------
    InputError
        One of them cannot be read, or the source is not what it was.
    """
    part = source[at]
    require_length(part, at)
    if part.errors:
        raise InputError(part.errors[min(part.errors)])
    return part


def require_length(part: Part, at: slice) -> None:
    """Refuse what is less than was asked for."""
    if len(part) != at.stop - at.start:
        raise InputError(
            f"The data gave {len(part)} samples from {at.start} on where {at.stop - at.start} were "
            "asked for: it is not what it was when the run began."
        )
