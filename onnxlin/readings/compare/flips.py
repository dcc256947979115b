"""Units on the other side of a kink in B than in A."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.graph import Array
from onnxlin.program import Bounds, LinearProgram
from onnxlin.readings.compare.names import Match
from onnxlin.readings.compare.sides import Side


@dataclass(frozen=True)
class Flipped:
    """Units of a node whose piece at A's x does not hold at what B computed.

    Parameters
    ----------
    node, op_type : str
        Of A.
    units, of : int
        How many, and how many the node has.
    furthest : float
        Largest distance by which B is beyond a kink, in units of the node's input.
    """

    node: str
    op_type: str
    units: int
    of: int
    furthest: float


def flipped(program: LinearProgram, a: Side, b: Side, names: Match) -> tuple[Flipped, ...]:
    """Find the nodes of A that would decide otherwise on B's values of what they read.

    Parameters
    ----------
    program : LinearProgram
        Of A at x, with its decisions.
    """
    ours = {n: v for n in names.tensors if (v := a.tensor(n)) is not None}
    theirs = {n: v for n in ours if (v := b.tensor(names.tensors[n][-1], decoded=True)) is not None}
    found = []
    for decision in program.decisions:
        beyond = np.zeros(decision.shape)
        for bounds in decision.bounds():
            if all(_same_shape(ours, theirs, name) for name, _ in bounds.terms):
                beyond = _merged(beyond, bounds, ours, theirs)
        count = int(np.count_nonzero(beyond))
        if count:
            node = decision.node
            one = Flipped(node.name, node.op_type, count, beyond.size, float(beyond.max()))
            found.append(one)
    return tuple(found)


def _same_shape(ours: Mapping[str, Array], theirs: Mapping[str, Array], name: str) -> bool:
    return name in ours and name in theirs and ours[name].shape == theirs[name].shape


def _merged(
    beyond: Array, bounds: Bounds, ours: Mapping[str, Array], theirs: Mapping[str, Array]
) -> Array:
    """Take the distance beyond these bounds, of the rival that is furthest, into every unit's."""
    held, found = (bounds({n: v[n][None] for n, _ in bounds.terms})[0] for v in (ours, theirs))
    # The runtime decides in its own precision: what it chose at A's values is A's side.
    low, high = np.minimum(bounds.low, held), np.maximum(bounds.high, held)
    past = np.nan_to_num(np.maximum(low - found, found - high), nan=0.0)
    past = np.maximum(past, 0.0)
    if bounds.rivals:
        past = past.max(axis=tuple(range(-bounds.rivals, 0)), initial=0.0)
    return np.maximum(beyond, past) if past.shape == beyond.shape else past
