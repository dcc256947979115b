"""What a worker takes beside its maps, so that ``memory=`` holds for all of it.

A budget is shared out before anything large is made: libraries at work, the model's own run, the
arrays of a chunk; what is left is the budget of a `onnxlin.Linearizer` that makes the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.memory import enough, memory_budget, mib
from onnxlin.engines.seeds import how_many
from onnxlin.errors import MemoryBudgetError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.linearizer.early import run_sizes

LIBRARIES = 32 * 2**20
"""Bytes of libraries that are at work, beyond those that are imported.

Of onnxruntime, OpenBLAS, pyarrow and zstd: pages of their code that are read when they are first
run (15 MiB), and what they set up; and what dask holds of its messages. Regions of LeNet-5, whose
map and arrays take 1.4 MiB, in a worker of dask: 31 MiB.
"""
KEPT = 1.1
"""Times the tensors of the model's own run: the allocator keeps their room, and some beside it."""
PART = 8
"""Of what is left a chunk's arrays take one part in so many; the rest is for its maps."""
HELD = 1.25
"""Times the arrays of a chunk, for their copies on the way and what lies between them."""
TRIES = 6
"""Budgets that are tried to say which would do: what is refused first is seldom all."""


@dataclass(frozen=True)
class Room:
    """How the memory of a worker is shared out.

    Parameters
    ----------
    total, run, one : int
        Bytes: all of them, those of the model's own run, and of the arrays of one sample.
    samples : int or None
        Of a chunk, where that has been said.
    beside : int
        Bytes of what is read of a map while it is there: its region.
    """

    total: int
    run: int
    one: int
    samples: int | None = None
    beside: int = 0

    @property
    def left(self) -> int:
        """Bytes for maps and arrays."""
        return self.total - LIBRARIES - self.run - self.beside

    @property
    def arrays(self) -> int:
        """Bytes of a chunk's arrays."""
        return max(self.left // PART, self.one * (self.samples or 1))

    @property
    def maps(self) -> int:
        """Budget of the maps."""
        return max(self.left - self.arrays, 1)

    def tight(self, maps: Linearizer) -> bool:
        """Whether what makes maps has all of their budget, so that no proof fits beside it."""
        return maps.memory == self.maps

    def refused(self, maps: int) -> MemoryBudgetError:
        """Say that it is too little where maps need so many bytes, and what would do."""
        samples = self.samples or 1
        arrays = max(self.one * samples, -(-maps // (PART - 1)))
        need = LIBRARIES + self.run + self.beside + maps + arrays
        further = f"its region {mib(self.beside)}, " if self.beside else ""
        several = f"{samples:,} samples" if samples > 1 else "a sample"
        return MemoryBudgetError(
            f"A worker needs about {mib(need)} beside its interpreter: libraries at work "
            f"{mib(LIBRARIES)}, the model's own run {mib(self.run)}, a map with the model "
            f"{mib(maps)}, {further}the arrays of {several} {mib(samples * self.one)}; memory="
            f"{mib(self.total)}. Raise memory= (--memory) to {enough(need)}, or ask for "
            f"fewer rows{' and a smaller chunk' if samples > 1 else ''}.",
            need,
        )


def shared_out(
    lin: Linearizer, feeds: Mapping[str, Array], rows: Any, kind: str, samples: int | None
) -> Room | None:
    """Share out the memory that was given; None where none was.

    Parameters
    ----------
    feeds : {input name: array}
        Of one sample, as `Linearizer.feeds` gives them.
    rows : as of a call of `Linearizer`
    kind : str
        dtype of W.
    samples : int or None
        See `Room`.
    """
    if lin.memory is None:
        return None
    tensors, outputs = run_sizes(lin.section, feeds)
    columns, item = sum(value.size for value in feeds.values()), np.dtype(kind).itemsize
    nodes = len(lin.section.nodes)
    _, one = arrays_of(columns, how_many(rows, outputs), outputs, nodes, item)
    return Room(memory_budget(lin.memory), int(KEPT * tensors), one, samples)


def within(
    lin: Linearizer,
    room: Room,
    make: Callable[[Linearizer], AffineMap],
    beside: Callable[[AffineMap], int],
) -> tuple[Linearizer, Room, AffineMap]:
    """Return what makes maps within their budget, how memory is shared out then, and such a map.

    A proof takes as much as a map is given, beside the graph that has made it. Where there is no
    room for both, `Room.tight`, the graph is let go of before.

    Parameters
    ----------
    beside : callable
        Bytes that are taken beside a map, `Room.beside`: known as soon as there is one.

    Raises
    ------
    MemoryBudgetError
        It says which memory would do.
    """
    own, m = _made(lin, room, make, beside)
    if taken := beside(m):
        del m
        room = replace(room, beside=taken)
        own, m = _made(lin, room, make, beside)
    return own, room, m


def _made(
    lin: Linearizer,
    room: Room,
    make: Callable[[Linearizer], AffineMap],
    beside: Callable[[AffineMap], int],
) -> tuple[Linearizer, AffineMap]:
    own = lin.within(max(room.maps // 2, 1))
    with suppress(MemoryBudgetError):
        return own, make(own)
    own = lin.within(room.maps)
    try:
        return own, make(own)
    except MemoryBudgetError as error:
        need = error.need
        for _ in range(TRIES):
            if need is None:
                raise
            try:
                room = replace(room, beside=beside(make(lin.within(need))))
                break
            except MemoryBudgetError as more:
                need = None if more.need is None else max(more.need, need + 1)
        raise room.refused(need or 0) from error


def arrays_of(columns: int, rows: int, outputs: int, nodes: int, item: int) -> tuple[int, int]:
    """Bytes of one sample: of what is stored of it, and of all arrays while it is made.

    Those are x as it is read and in float64; and of rows what is stored and, once more, kept, and
    once more of the chunk before, which is being written.
    """
    stored = 8 * (outputs + nodes * rows) + columns * rows * item
    return stored, int(HELD * (3 * stored + columns * (8 + 2 * item)))
