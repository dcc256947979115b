"""What stands between two tensors of a stream: with weights or not, across positions or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from onnxlin.primitives import Array, Conv, LinearMap, MatMul, Shape
from onnxlin.primitives.reaching import reached
from onnxlin.program import Step

ATTENTION, MLP, BLOCK = "attention", "MLP", "block"


def products(op: LinearMap) -> Iterator[LinearMap]:
    """Products with weights, or with shares, that a map is made of."""
    if isinstance(op, MatMul | Conv):
        yield op
    for part in getattr(op, "maps", ()) or ([op.base] if hasattr(op, "base") else []):
        yield from products(part)


def _is_product(step: Step) -> bool:
    return any(True for _, op in step.terms for _ in products(op))


def weighed(steps: Sequence[Step]) -> set[str]:
    """What is made by products with weights, or of such."""
    found: set[str] = set()
    for step in steps:
        if _is_product(step) or any(name in found for name, _ in step.terms):
            found.add(step.output)
    return found


def carried(steps: Sequence[Step], start: str) -> set[str]:
    """What a tensor reaches by some path without products."""
    found = {start}
    for step in steps:
        if not _is_product(step) and any(name in found for name, _ in step.terms):
            found.add(step.output)
    return found


def unweighed(steps: Sequence[Step], start: str) -> set[str]:
    """What a tensor reaches by paths without products alone: norms, mostly."""
    return carried(steps, start) - weighed(steps) - {start}


def branches(steps: Sequence[Step], start: str, shape: Shape) -> dict[str, str]:
    """What is added to a tensor: its addends that come by products, each with its kind.

    Parameters
    ----------
    steps : sequence of Step
        The last of them makes the sum.
    shape : tuple of int
        Of both: positions by width.

    Returns
    -------
    {tensor: kind}
        Empty where there is no sum of what comes by products and of what does not.
    """
    with_weights, last = weighed(steps), steps[-1].output
    if last not in with_weights or last not in carried(steps, start):
        return {}
    own = [name for name in _addends(steps, shape) if name in with_weights]
    if prod(shape[:-1]) < 2:
        return dict.fromkeys(own, BLOCK)
    moved = _moved(steps, start, shape)
    return {name: ATTENTION if name in moved else MLP for name in own}


def _addends(steps: Sequence[Step], shape: Shape) -> Iterator[str]:
    """What the last step adds up, and sums among that once more."""
    made, waiting = {step.output: step for step in steps}, [steps[-1].output]
    while waiting:
        step = made.get(name := waiting.pop())
        read = () if step is None else tuple(dict.fromkeys(n for n, _ in step.terms))
        if step is None or len(read) < 2 or step.shape != shape or _is_product(step):
            yield name
        else:
            waiting += read


def _moved(steps: Sequence[Step], start: str, shape: Shape) -> set[str]:
    """Tensors to which numbers have moved from other positions.

    Between the halves of the text, to look no closer.
    """
    positions, found = prod(shape[:-1]), set()
    for half in (slice(0, positions // 2), slice(positions // 2, positions)):
        own = np.zeros((positions, 1), bool)
        own[half] = True
        marks: dict[str, Array] = {start: np.broadcast_to(own, (positions, shape[-1]))}
        marks[start] = marks[start].reshape(shape)
        for step in steps:
            parts = [reached(op, marks[name]) for name, op in step.terms if name in marks]
            if parts:
                marks[step.output] = np.logical_or.reduce(parts)
                if step.shape == shape and (marks[step.output].reshape(positions, -1) & ~own).any():
                    found.add(step.output)
    return found


def kinds(steps: Sequence[Step], added: Mapping[str, str]) -> dict[str, str]:
    """Kind of each step by the branches that it leads to; what leads to both is attention's."""
    found: dict[str, str] = dict(added)
    for step in reversed(steps):
        own = found.get(step.output)
        if own is not None:
            for name, _ in step.terms:
                found[name] = ATTENTION if found.get(name, own) != own else own
    return found
