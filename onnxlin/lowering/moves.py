"""What is done to the entries of stacked arrays: moved, repeated, added up, set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxlin.lowering.emitter import Emitter
from onnxlin.lowering.stack import Laid, Scaled, Shape, Stack
from onnxlin.lowering.traced import is_traced


def permuted(x: Stack, perm: Shape) -> Stack:
    """Permute the axes."""
    shape = tuple(x.shape[p] for p in perm)
    longer = [p for p in perm if x.shape[p] != 1]
    if longer == sorted(longer) and 0 not in shape:
        return x.reshaped(shape)
    name, first = x.spread if perm[0] == 0 else (x.per_row, 1)
    order = [0, *(p + 1 for p in perm)] if first else list(perm)
    return x.as_spread(x.emitter.permuted(name, order), shape, first)


def stretched(x: Stack, shape: Shape) -> Stack:
    """Broadcast to a shape by NumPy's rule; the tensor stays as small as it is."""
    aligned = x.reshaped((1,) * (len(shape) - len(x.shape)) + x.shape)
    if aligned.shape == shape or not shape:
        return aligned
    laid = aligned.applied
    compact = len(shape) > 1 and shape[0] == 1
    rest, repeated = (s[1:] if compact else s for s in (shape, laid.shape))
    held = laid.positive.in_layout(1, repeated)
    return Laid(laid.emitter, shape, held, 1, rest, repeated, laid.negative)


def summed(x: Stack, axes: Shape) -> Stack:
    """Sum over axes, which are kept with length 1."""
    if not axes:
        return x
    name, first = x.spread
    along = [axis + first for axis in axes if axis + first > 0]
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if along:
        name = x.emitter("ReduceSum", name, x.emitter.ints(along), keepdims=1)
    return x.as_spread(name, kept, first)


def padded(x: Stack, axis: int, before: int, after: int) -> Stack:
    """Set between zeros along an axis."""
    graph = x.emitter
    name, first = x.alone(axis)
    pads = graph.ints([before, after])
    name = graph("Pad", name, pads, "", graph.ints([axis + first]))
    return x.as_spread(name, _with(x.shape, axis, before + x.shape[axis] + after), first)


def taken(x: Stack, axis: int, index: Any) -> Stack:
    """Read an axis at known positions; -1 reads 0."""
    if (index < 0).any():
        index, x = np.where(index < 0, x.shape[axis], index), padded(x, axis, 0, 1)
    name, first = x.alone(axis)
    name = x.emitter("Gather", name, x.emitter.ints(index), axis=axis + first)
    return x.as_spread(name, _with(x.shape, axis, len(index)), first)


def beside(stacks: Sequence[Stack], axis: int) -> Stack:
    """Put stacks side by side along an axis of their arrays."""
    if len(stacks) == 1:
        return stacks[0]
    parts, factor = _factor_apart(stacks, axis)
    graph, shape = parts[0].emitter, _with(parts[0].shape, axis, sum(p.shape[axis] for p in parts))
    if not axis and all(_one_line(part) for part in parts):
        # Axis 1, of length 1 as well, stands in for axis 0, which the tensors do not have.
        rest = (shape[0], *shape[2:])
        name = _concat(graph, [part.applied.name for part in parts], 1)
        made = Laid(graph, shape, name, 1, rest)
        return made if factor is None else Scaled(graph, shape, made, factor.reshape(rest)).applied
    names, firsts = zip(*(part.alone(axis) for part in parts), strict=True)
    made = parts[0].as_spread(_concat(graph, names, axis + firsts[0]), shape, firsts[0])
    return made if factor is None else Scaled(graph, shape, made, factor)


def _factor_apart(stacks: Sequence[Stack], axis: int) -> tuple[Sequence[Stack], Any]:
    """Stacks and None; where all wait for factors of x, what waits and the factors side by side."""
    waiting = [part for part in stacks if isinstance(part, Scaled) and is_traced(part.factor)]
    if len(waiting) < len(stacks):
        return stacks, None
    return [part.laid for part in waiting], np.concatenate(list(map(_full, waiting)), axis=axis)


def _full(part: Scaled) -> Any:
    """The factor of a stack, repeated to the shape of its arrays."""
    factor = part.factor
    aligned = factor.reshape((1,) * (len(part.shape) - factor.ndim) + factor.shape)
    return np.broadcast_to(aligned, part.shape)


def _one_line(part: Stack) -> bool:
    """Whether an array ``(1, 1, *rest)`` is laid out as ``(K, 1, *rest)``."""
    return part.shape[:2] == (1, 1) and part.layout == (1, part.shape[1:])


def _concat(graph: Emitter, names: Sequence[str], axis: int) -> str:
    """Concatenate; what has been concatenated along the axis before, all at once."""
    flat: list[str] = []
    for name in names:
        made = graph.maker(name)
        joined = made is not None and made.op_type == "Concat" and made.attribute[0].i == axis
        flat.extend(made.input if joined and made is not None else [name])
    return graph("Concat", *flat, axis=axis)


def _with(shape: Shape, axis: int, size: int) -> Shape:
    """A shape with another length along an axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])
