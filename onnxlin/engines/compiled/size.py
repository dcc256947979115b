"""What a session of a compiled graph takes, and of which weights onnxruntime makes copies.

What is fastest is a graph whose weights onnxruntime lays out anew, for either direction. What is
lean reads the weights where they lie, as inputs of the graph: no optimiser copies those. Between
them are graphs that have copies of those weights alone that are multiplied most often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnxlin.engines.job import leave_room
from onnxlin.engines.memory import enough, mib
from onnxlin.errors import MemoryBudgetError
from onnxlin.graph.weights import LARGE
from onnxlin.lowering import Emitter, is_traced
from onnxlin.primitives import Conv, coefficients
from onnxlin.program import LinearProgram
from onnxlin.program.sweep import back

COPIES = 2
"""Of a weight, that a session makes which is fast: one for either direction."""

OPENING = 7
"""Times such weights that there are while a graph is opened: folded, laid out anew, packed."""

SMALL = 8 * 2**20
"""Bytes of copies that nobody misses."""

MORE = 0.55
"""Part of a lean graph's memory that copies may take where no budget is given."""

SOME_ROWS = 8
"""Rows at once, for which there is room before there is any for copies."""

A_NODE = 4864
"""Bytes that sessions and protos keep of a node, its sweep with it."""

A_FEW = 2.0
"""Times that a weight is multiplied, up to which a copy makes nothing faster."""


WAITS, MADE = 1.1, 0.2
"""Bytes of onnxruntime's arena for each that waits for the way back, and for each that is made.

These, `A_NODE` and `BESIDE` are fitted to files (docs/measured/memory.md) with onnxruntime 1.32.
"""

BESIDE, TIMES = 2**19, 64
"""Bytes that lie beside a convolution, in a layout of its own; at most so many times its tensors.
"""


@dataclass(frozen=True)
class Size:
    """Bytes that a compiled graph takes.

    Parameters
    ----------
    weights : int
        The model's constants.
    tensors : int
        What there is at once of what the forward pass makes and the way back waits for.
    row : int
        A sweep of one row.
    copies : int
        What onnxruntime keeps of the weights beside the model's own.
    nodes : int
        Of the forward pass and its coefficients, for all that is kept of nodes.
    line : int
        A row of W.
    """

    weights: int
    tensors: int
    row: int
    copies: int = 0
    nodes: int = 0
    line: int = 0

    @property
    def standing(self) -> int:
        """All that does not depend on the number of rows."""
        return self.weights + self.copies + A_NODE * self.nodes + self.tensors

    def __str__(self) -> str:
        tensors = self.standing - self.weights - self.copies
        parts = {"weights": self.weights, "their copies": self.copies, "tensors": tensors}
        return ", ".join(f"{name} {mib(size)}" for name, size in parts.items() if size)


@dataclass(frozen=True)
class Use:
    """How a sweep of one row uses a weight.

    Parameters
    ----------
    size : int
        Bytes.
    times : float
        How often each entry is multiplied.
    packs : bool
        Whether one copy, for the way back, makes the graph about as fast as two.
    """

    size: int
    times: float
    packs: bool

    @property
    def copies(self) -> int:
        """Bytes of the copies."""
        return self.size if self.packs else COPIES * self.size

    @property
    def opening(self) -> int:
        """Bytes while they are made."""
        return self.size if self.packs else (OPENING - 1) * self.size


Uses = Mapping[str, Use]
Layout = Callable[[Size, Uses], tuple[Size, dict[str, bool]]]
"""Chooses of which weights there are copies; see `within`."""


def stored_bytes(graph: Emitter) -> int:
    """Bytes of the constants of a graph: the model's, and what follows from them alone."""
    return sum({id(array): array.nbytes for array in graph.stored.values()}.values())


def waiting(program: LinearProgram) -> int:
    """Bytes that wait for the way back: slopes, masks and biases that are computed at x."""
    parts = [p for step in program.steps for _, op in step.terms for p in coefficients(op)]
    parts += [step.bias for step in program.steps]
    sizes = {part.name: part.size * part.dtype.itemsize for part in parts if is_traced(part)}
    return sum(sizes.values())


def a_row(program: LinearProgram) -> int:
    """Bytes that a row of a sweep takes at its widest: onnxruntime adds cotangents up in place."""
    alive = {name: prod(shape) for name, shape in program.outputs.items()}
    widest = max(sum(alive.values()), program.columns)
    for step, own in back(program.steps, alive, leave_room):
        beside = dict(alive)
        for name, op in step.terms:
            beside[name] = op.columns * (1 if name not in beside else 2)
        unfolded = max(
            (op.workspace for _, op in step.terms if not isinstance(op, Conv)), default=0
        )
        widest = max(widest, own + sum(beside.values()) + unfolded)
    return widest * program.dtype.itemsize


def beside_convolutions(program: LinearProgram) -> int:
    """Bytes that convolutions take beside their tensors."""
    ops = (op for step in program.steps for _, op in step.terms)
    convolutions = (op for op in ops if isinstance(getattr(op, "base", op), Conv))
    largest = (max(op.rows, op.columns) * program.dtype.itemsize for op in convolutions)
    return sum(min(BESIDE, TIMES * size) for size in largest)


def sized(graph: Emitter, program: LinearProgram, made: int) -> Size:
    """What a graph takes of which a program is to be written the other way.

    Parameters
    ----------
    made : int
        Bytes of all that its forward pass makes.
    """
    tensors = int(WAITS * waiting(program) + MADE * made) + beside_convolutions(program)
    line = program.columns * program.dtype.itemsize
    return Size(stored_bytes(graph), tensors, a_row(program), nodes=len(graph.nodes), line=line)


def uses(graph: Emitter, program: LinearProgram) -> dict[str, Use]:
    """Every large constant of a graph, and what a program does with it."""
    found = {n: Use(a.nbytes, 0.0, packs=False) for n, a in graph.stored.items()}
    found = {name: use for name, use in found.items() if use.size >= LARGE}
    for op in (op for step in program.steps for _, op in step.terms):
        for part in coefficients(op):
            name = graph.place(part) if isinstance(part, np.ndarray) else ""
            if name in found:
                times = found[name].times + op.nnz / part.size
                packs = isinstance(op, Conv) and op.packs
                found[name] = replace(found[name], times=times, packs=packs)
    return found


def within(
    size: Size, weights: Uses, memory: int, *, asked: bool, single: bool = False
) -> tuple[Size, dict[str, bool]]:
    """Choose the weights of which there are copies: those that are multiplied most often.

    Parameters
    ----------
    memory : int
        Bytes that may be used.
    asked : bool
        Whether the caller has said so many. Otherwise copies are worth part of as much memory as
        everything else takes, and no more.

    single : bool
        Whether rows come one at a time. Otherwise there is to be room for some at once, of which
        more comes than of copies.

    Returns
    -------
    Size
    {weight: bool}
        Those that are read where they lie; whether a packed copy may be beside them.

    Raises
    ------
    MemoryBudgetError
        It does not fit without any.
    """
    need = size.standing + size.row + size.line
    if need > memory:
        raise MemoryBudgetError(
            f"engine='compiled' needs about {mib(need)} for one row ({size}, a row "
            f"{mib(size.row)}); memory={mib(memory)}. Raise memory= to {enough(need)}, or use "
            "engine='reverse'.",
            need,
        )
    one = size.standing + size.row
    most = memory - size.line if asked else one + max(SMALL, int(MORE * one))
    most -= 0 if single or not asked else (SOME_ROWS - 1) * size.row
    every = sum(use.size for use in weights.values())
    fast = replace(size, copies=COPIES * every)
    opening = size.weights + (OPENING - 1) * every
    if max(fast.standing + fast.row, opening if asked else 0) <= most:
        return fast, {}
    lean = dict.fromkeys(weights, False)
    opening = size.weights
    for name, use in sorted(weights.items(), key=lambda item: -item[1].times):
        more = replace(size, copies=size.copies + use.copies)
        if use.times <= A_FEW or more.standing + more.row > most:
            continue
        if opening + use.opening > memory:
            continue
        size, opening = more, opening + use.opening
        if use.packs:
            lean[name] = True
        else:
            del lean[name]
    return size, lean
