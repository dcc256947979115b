"""Where the stream of a transformer lies, found on the linear program and not by names.

The stream is what blocks read and add to: attention, MLP, attention, MLP. Between two blocks every
path from x to the outputs goes through one tensor, of so many positions by its width. Whatever an
exporter calls it, there the map can be cut: ``F = W_h h + b_h``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from onnxlin.engines.cuts.between import Between
from onnxlin.errors import OptionError
from onnxlin.primitives import LinearMap, Shape
from onnxlin.program import LinearProgram, Step
from onnxlin.program.sweep import back
from onnxlin.readings.stream.branches import (
    ATTENTION,
    BLOCK,
    MLP,
    branches,
    kinds,
    unweighed,
    weighed,
)

EMBEDDING, NORM, HEAD = "embedding", "norm", "head"
KINDS = (EMBEDDING, NORM, ATTENTION, MLP, BLOCK, HEAD)
"""Kinds of places, in the order in which a layer has them."""


class Place(NamedTuple):
    """Where a node stands: its layer, from 1 on, and its kind.

    The embedding is layer 0, and the head, with the norm before it, is one past the last layer.
    """

    layer: int
    kind: str


@dataclass(frozen=True)
class Block:
    """What reads the stream and adds to it.

    Parameters
    ----------
    kind : str
        "attention", "MLP", "attention and MLP" where both read the same tensor and are added at
        once, "block" where there is one position alone. Attention moves numbers between positions;
        a convolution or a recurrence does so, too.
    layer : int
        From 1 on: a layer begins with each attention.
    start, end : str
        The stream before it, and the sum with what it adds.
    added : {tensor: kind}
        What it adds, each branch with its kind.
    """

    kind: str
    layer: int
    start: str
    end: str
    added: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Stream:
    """Blocks of a program and the tensors between them.

    Parameters
    ----------
    program : LinearProgram
    blocks : tuple of Block
        In order.
    tensors : tuple of str
        Before the first block, and behind each: what the next one reads.
    shape : tuple of int
        Of all of them: positions by width, behind axes of 1.
    """

    program: LinearProgram
    blocks: tuple[Block, ...]
    tensors: tuple[str, ...]
    shape: Shape

    @property
    def positions(self) -> int:
        """How many there are."""
        return prod(self.shape[:-1])

    @property
    def labels(self) -> tuple[str, ...]:
        """Behind what each tensor stands: ``("embedded", "attention 1", "MLP 1", ...)``."""
        return ("embedded", *(f"{block.kind} {block.layer}" for block in self.blocks))

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return _order(self.program)

    @cached_property
    def _ends(self) -> list[int]:
        """Where blocks end, and where what stands between them does, by turns."""
        order, found = self._order, [self._order[self.tensors[0]]]
        for block, behind in zip(self.blocks, self.tensors[1:], strict=True):
            found += [order[block.end], order[behind]]
        return found

    @cached_property
    def _plain(self) -> frozenset[str]:
        """Tensors made of the stream without weights: norms, mostly."""
        order, steps = self._order, self.program.steps
        found: set[str] = set()
        for start, stop in zip(self.tensors, (*self.tensors[1:], None), strict=True):
            last = len(steps) if stop is None else order[stop] + 1
            part = steps[order[start] + 1 : last]
            found |= unweighed(part, start)
        return frozenset(found)

    def place(self, step: Step) -> Place:
        """Where a step stands."""
        at, plain = bisect_left(self._ends, self._order[step.output]), step.output in self._plain
        if at == 0:
            return Place(0, EMBEDDING)
        if at == len(self._ends):
            return Place(self.blocks[-1].layer + 1, NORM if plain else HEAD)
        block = self.blocks[(at - 1) // 2]
        own = at % 2 == 1 and not plain
        if not own:
            return Place(block.layer, NORM)
        # What frozen mode holds leads to no branch, and brings in nothing.
        rest = next(kind for kind in KINDS if kind in block.added.values())
        return Place(block.layer, self._kinds[at // 2].get(step.output, rest))

    @cached_property
    def _kinds(self) -> list[dict[str, str]]:
        """Kinds of all that leads to branches, by block."""
        return [kinds(_part(self.program, b.start, b.end), b.added) for b in self.blocks]

    @property
    def constants(self) -> Place:
        """Where outputs stand that do not depend on x."""
        return Place(self.blocks[-1].layer + 1, HEAD)


def find_stream(program: LinearProgram) -> Stream:
    """Find the stream of a program.

    Raises
    ------
    OptionError
        There is none.
    """
    shapes = shapes_of(program)
    cuts = single_cuts(program)
    found: dict[Shape, list[Block]] = {}
    for start, end in pairwise(cuts):
        shape = shapes[start]
        if shape == shapes[end] and len(shape) > 1 and prod(shape) == prod(shape[-2:]):
            added = branches(_part(program, start, end), start, shape)
            if added:
                blocks = found.setdefault(shape, [])
                layer = blocks[-1].layer if blocks else 0
                layer += bool({ATTENTION, BLOCK} & set(added.values())) or not blocks
                kind = " and ".join(k for k in KINDS if k in added.values())
                blocks.append(Block(kind, layer, start, end, added))
    if not found:
        raise OptionError(
            f"No stream was found between {list(program.inputs)} and {list(program.outputs)}: no "
            "tensor of positions by width that every path goes through, and that blocks with "
            "weights read and add to, as attention and MLP do. Other inputs= and outputs= may "
            "have one between them; between(lin, x, start, end) has the map of any two tensors."
        )
    shape = max(found, key=lambda shape: len(found[shape]))
    own = tuple(found[shape])
    return Stream(program, own, _behind(own, cuts, shapes, program), shape)


def _behind(
    blocks: Sequence[Block], cuts: list[str], shapes: Mapping[str, Shape], program: LinearProgram
) -> tuple[str, ...]:
    """The tensor before the first block, and what each hands on: a norm may stand in between."""
    place = {name: i for i, name in enumerate(cuts)}
    tensors = [block.start for block in blocks]
    last, between = place[blocks[-1].end], 0
    if len(blocks) > 1:
        between = place[blocks[-1].start] - place[blocks[-2].end]
    if between and last + between < len(cuts):
        plain = not weighed(_part(program, cuts[last], cuts[last + between]))
        if plain and shapes[cuts[last + between]] == shapes[cuts[last]]:
            last += between
    return (*tensors, cuts[last])


def _order(program: LinearProgram) -> dict[str, int]:
    """Places of steps, by what they make; inputs stand before all."""
    made = {step.output: i for i, step in enumerate(program.steps)}
    return dict.fromkeys(program.inputs, -1) | made


def _part(program: LinearProgram, start: str, end: str) -> tuple[Step, ...]:
    """Steps behind one tensor as far as another."""
    order = _order(program)
    return program.steps[order[start] + 1 : order[end] + 1]


def shapes_of(program: LinearProgram) -> dict[str, Shape]:
    """Shapes of the inputs and of what steps make."""
    return {**program.inputs, **{step.output: step.shape for step in program.steps}}


def single_cuts(program: LinearProgram) -> list[str]:
    """Tensors that every path passes, in order, whatever is alive of them."""
    shapes = shapes_of(program)
    seen = dict.fromkeys(program.outputs, True)

    def see(waiting: dict[str, Any], name: str, _op: LinearMap, _arrived: Any) -> None:
        waiting[name] = seen[name] = True

    for _ in back(program.steps, dict(seen), see):
        pass
    # Of all tensors nothing is known but that they are on a path: no entry is looked at.
    marks = {name: np.broadcast_to(True, shapes[name]) for name in shapes if name in seen}
    return list(Between(program, marks).single())
