"""What every engine is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np

from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array, Conv, LinearMap
from onnxlin.primitives.conv import BLOCK_BYTES
from onnxlin.program import LinearProgram
from onnxlin.program.sweep import back

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Job:
    """Rows of W to compute.

    Parameters
    ----------
    program : LinearProgram
    seeds : Seeds
        The rows asked.
    memory : int
        Bytes that may be used in all.
    progress : callable, optional
        Called with (done, total) sweeps' worth of rows or columns.
    held : int
        Bytes of them that the model, the tensors of its run and the program take already.
    stored : bool
        Whether W lies in a file, and takes no memory.
    """

    program: LinearProgram
    seeds: Seeds
    memory: int
    progress: Progress | None = None
    held: int = 0
    stored: bool = False

    @property
    def a_row(self) -> int:
        """Bytes that one row of a sweep needs at its widest."""
        return self._rows[0]

    def sweep(self, count: int) -> int:
        """Bytes that so many rows swept at once need: of the windows there are a few at a time."""
        one, further = self._rows
        windows = min((count - 1) * (one - further), BLOCK_BYTES)
        return one + (count - 1) * further + windows

    @cached_property
    def _rows(self) -> tuple[int, int]:
        return row_bytes(self.program)

    def report(self, done: int, total: int) -> None:
        """Tell the caller how far the work is."""
        if self.progress is not None:
            self.progress(done, total)


@dataclass(frozen=True, eq=False)
class Solution:
    """K rows of the map.

    Parameters
    ----------
    W : array (K, columns), of the program's dtype
    bias : {node name: array (K,)}
        Share of b that each node brings in, float64; nodes without any are left out.
    """

    W: Array
    bias: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Columns(Mapping[str, Array]):
    """Shares of b as the columns of one array, taken out when somebody asks for them.

    Parameters
    ----------
    names : tuple of str
    array : array (K, nodes), float64
    """

    names: tuple[str, ...]
    array: Array

    def __getitem__(self, name: str) -> Array:
        column: Array = self.array[:, self._places[name]]
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}


def total(bias: Mapping[str, Array], rows: int) -> Array:
    """Add shares up in their order: ``(rows,)``."""
    if isinstance(bias, Columns) and bias.names:
        added: Array = np.cumsum(bias.array, axis=1)[:, -1]  # one after the other, as below
        return added
    return sum(bias.values(), start=np.zeros(rows))


def row_bytes(program: LinearProgram) -> tuple[int, int]:
    """Memory that one row of a sweep needs at its widest, and what each row beside it adds.

    Convolutions unfold the windows of a few samples at a time, however many rows there are.
    """
    alive = {name: prod(shape) for name, shape in program.outputs.items()}
    widest = further = sum(alive.values())
    for step, own in back(program.steps, alive, _leave_room):
        inside = max((op.workspace for _, op in step.terms), default=0)
        beside = dict(alive)
        for name, op in step.terms:
            # The cotangent that is there, the one added, and their sum.
            beside[name] = op.columns * (1 if name not in beside else 2)
        each = max((op.workspace for _, op in step.terms if not isinstance(op, Conv)), default=0)
        widest = max(widest, own + sum(beside.values()) + inside)
        further = max(further, own + sum(beside.values()) + each)
    item = program.dtype.itemsize
    return max(widest, program.columns) * item, max(further, program.columns) * item


def _leave_room(alive: dict[str, int], name: str, op: LinearMap, _own: int) -> None:
    alive[name] = op.columns


class Engine(Protocol):
    """An interpreter of linear programs."""

    def __call__(self, job: Job) -> Solution:
        """Compute the rows asked."""


def dot(cotangents: Array, bias: Array) -> Array:
    """``<cotangent, bias>`` for each of K cotangents, summed in float64: ``(K,)``.

    Parameters
    ----------
    cotangents : array (K, *shape)
    bias : array, broadcastable to shape
    """
    if not cotangents.size:
        return np.zeros(len(cotangents))
    rank = cotangents.ndim - 1
    bias = bias.reshape((1,) * (rank - bias.ndim) + bias.shape)
    # An axis along which the bias repeats is summed first: no full-size copy of the bias.
    spread = [i for i in range(rank) if bias.shape[i] == 1 or bias.strides[i] == 0]
    core = bias[tuple(slice(0, 1) if i in spread else slice(None) for i in range(rank))]
    summed = cotangents.sum(axis=tuple(i + 1 for i in spread), dtype=np.float64, keepdims=True)
    flat = core.reshape(core.size).astype(np.float64)
    return weigh(summed.reshape(len(cotangents), core.size), flat)


def weigh(rows: Any, bias: Array) -> Array:
    """``rows @ bias`` in which 0 times infinity is 0: padding with -inf that no maximum took."""
    infinite = ~np.isfinite(bias)
    if not infinite.any():
        return rows @ bias
    hit = np.abs(rows) @ infinite.astype(np.float64) > 0
    return np.where(hit, np.nan, rows @ np.where(infinite, 0, bias))
