"""What every engine is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
# Cotangents that are brought to float64 at once.
AT_ONCE = 2**18


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
    plans : dict
        What engines have found out about a program and rows, to be found by others that ask: a job
        made of this one has the same.
    threads : int, optional
        That compute it; by default all that there are.
    """

    program: LinearProgram
    seeds: Seeds
    memory: int
    progress: Progress | None = None
    held: int = 0
    stored: bool = False
    plans: dict[Any, Any] = field(default_factory=dict, repr=False)
    threads: int | None = None

    @cached_property
    def widths(self) -> Widths:
        """What sweeps need."""
        return widths(self.program)

    @property
    def a_row(self) -> int:
        """Bytes that one row of a sweep needs at its widest."""
        return self.widths(1)

    def sweep(self, count: int) -> int:
        """Bytes that so many rows swept at once need."""
        return self.widths(count)

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
    added : array (K,), optional
        Their sum, where it is known.
    """

    names: tuple[str, ...]
    array: Array
    added: Array | None = None

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
        return added_up(bias.array) if bias.added is None else bias.added
    return sum(bias.values(), start=np.zeros(rows))


def added_up(shares: Array) -> Array:
    """Add up along the last axis, one after the other: ``(..., nodes) -> (...)``."""
    found: Array = shares.cumsum(axis=-1)[..., -1]
    return found


@dataclass(frozen=True, eq=False)
class Widths:
    """Bytes that a sweep needs at each of its steps.

    Parameters
    ----------
    each : int array (steps,)
        Of every row.
    windows : int array (steps,)
        Of what is made of a few rows at a time, however many there are: unfolded windows.
    """

    each: Array
    windows: Array

    def __call__(self, count: int) -> int:
        """At the widest step, for so many rows at once."""
        windows = np.maximum(np.minimum(count * self.windows, BLOCK_BYTES), self.windows)
        return int((count * self.each + windows).max(initial=0))


def widths(program: LinearProgram) -> Widths:
    """Memory that sweeps of a program need."""
    alive = {name: prod(shape) for name, shape in program.outputs.items()}
    each, windows = [max(sum(alive.values()), program.columns)], [0]
    for step, own in back(program.steps, alive, leave_room):
        unfolds = [op for _, op in step.terms if isinstance(getattr(op, "base", op), Conv)]
        inside = max((op.workspace for _, op in step.terms if op not in unfolds), default=0)
        beside = dict(alive)
        for name, op in step.terms:
            # What is there, what is added, and their sum.
            beside[name] = op.columns * (1 if name not in beside else 3)
        each.append(own + sum(beside.values()) + inside)
        # A padded image with its windows; or one row in float64, whose share of b is added up.
        padded = max((op.workspace + op.columns for op in unfolds), default=0)
        windows.append(max(padded, 2 * own if step.bias is not None else 0))
    item = program.dtype.itemsize
    return Widths(item * np.array(each, np.int64), item * np.array(windows, np.int64))


def leave_room(alive: dict[str, int], name: str, op: LinearMap, _own: int) -> None:
    """Send room back in place of cotangents, with `onnxlin.program.sweep.back`."""
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
    few = max(AT_ONCE * len(cotangents) // cotangents.size, 1)
    if few < len(cotangents):
        parts = (cotangents[i : i + few] for i in range(0, len(cotangents), few))
        return np.concatenate([dot(part, bias) for part in parts])
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
