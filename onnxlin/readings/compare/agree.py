"""Tensors matched by what they hold, where one node of a model does what several of the other do.

A quantised convolution that cuts off at its zero point is a convolution and a ReLU: it has the name
of the one and the numbers of the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxlin.graph import Array, Node, is_float
from onnxlin.readings.compare.names import Match
from onnxlin.readings.compare.sides import Side

FUSED = 4  # nodes of A, at most, that one of B may stand for
CLEARLY = 0.5  # of the difference that the tensor of the same name has


def by_values(names: Match, a: Side, b: Side) -> Match:
    """Match a tensor of either with what follows its namesake in the other that clearly holds that.

    Only where the one has nothing else for what follows, and nothing but that reads the namesake.
    """
    tensors = {name: chain[-1] for name, chain in names.tensors.items()}
    forth = _moved(tensors, a, b)
    here = {forth.get(name, name): other for name, other in tensors.items()}
    back = _moved({other: name for name, other in here.items()}, b, a)
    if not forth and not back:
        return names
    found = {
        forth.get(name, name): (*chain[:-1], back.get(chain[-1], chain[-1]))
        for name, chain in names.tensors.items()
    }
    ends = {*a.section.inputs, *a.section.outputs}
    order = [n for node in a.section.nodes for n in node.writes]
    place = {name: i for i, name in enumerate(order)}
    listed = sorted(found, key=lambda name: place.get(name, -1 if name in ends else len(order)))
    return replace(names, tensors={name: found[name] for name in listed})


def _moved(tensors: dict[str, str], a: Side, b: Side) -> dict[str, str]:
    """For tensors of A that stand before what B holds under their names: what holds that in A."""
    ends = {*a.section.inputs, *a.section.outputs}
    readers = dict[str, list[Node]]()
    for node in a.section.nodes:
        for name in node.reads:
            readers.setdefault(name, []).append(node)
    near = {
        name: _nearest(name, other, tensors, (a, b), readers)
        for name, other in tensors.items()
        if name not in ends
    }
    return {name: found for name, found in near.items() if found != name}


def _nearest(
    name: str,
    other: str,
    tensors: dict[str, str],
    sides: tuple[Side, Side],
    readers: dict[str, list[Node]],
) -> str:
    """Which of a tensor and those that follow it a tensor of B holds."""
    own = _gap(name, other, sides)
    best, least, at = name, own, name
    for _ in range(FUSED):
        after = readers.get(at, [])
        if len(after) != 1 or len(after[0].writes) != 1 or after[0].writes[0] in tensors:
            break
        at = after[0].writes[0]
        gap = _gap(at, other, sides)
        if not np.isfinite(gap):
            break
        if gap < least:
            best, least = at, gap
    return best if least < CLEARLY * own else name


def _gap(name: str, other: str, sides: tuple[Side, Side]) -> float:
    """Largest difference of two tensors, as numbers; infinite where they cannot be compared."""
    a, b = sides
    first, second = a.values.get(name), b.values.get(other)
    if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
        return np.inf
    decoded = is_float(first.dtype) != is_float(second.dtype)
    ours: Array | None = a.tensor(name, decoded=decoded)
    theirs = b.tensor(other, decoded=decoded)
    if ours is None or theirs is None or ours.shape != theirs.shape or not ours.size:
        return np.inf
    with np.errstate(invalid="ignore"):
        gap = float(np.abs(ours - theirs).max())
    return gap if np.isfinite(gap) else np.inf
