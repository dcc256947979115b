"""Which entries of each tensor a row of W can see, and an input can move.

An entry is *live* if a path of nonzero coefficients leads from it to an output that is asked for,
and one from an input, or from a bias, to it. A ReLU unit that is off, an entry that loses its
pooling window and a saturated gate are dead, at every row alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from onnxlin.engines.live.links import Link
from onnxlin.primitives import Array, Chain, Conv, Diagonal, LinearMap, MatMul, Reshape, Shape
from onnxlin.primitives.broadcast import sum_to

# Entries of a matrix from which on it is taken for full: looking at each costs more than it saves.
LARGE = 2**22
# Part of the entries that are kept beside them rather than have the others copied.
FEW = 1 / 32


def live_entries(
    chain: Sequence[Link], inputs: Mapping[str, Shape], seeded: Mapping[str, Array]
) -> dict[str, Array]:
    """Mark the live entries of every tensor.

    Parameters
    ----------
    chain : sequence of Link
        In order.
    inputs : {input: shape}
    seeded : {output: bool array of its shape}
        Outputs that some row takes.

    Returns
    -------
    {tensor: bool array of its shape}
        A superset of the entries whose cotangents are needed and not 0.
    """
    needed = {name: np.ones(shape, bool) for name, shape in inputs.items()}
    for link in chain:
        marks = [reached(op, needed[name]) for name, op in link.terms if name in needed]
        marks += [np.broadcast_to(bias != 0, link.shape) for _, bias in link.charges]
        needed[link.output] = np.logical_or.reduce(marks) if marks else np.zeros(link.shape, bool)
    seen = {name: mask.copy() for name, mask in seeded.items()}
    for link in reversed(chain):
        if link.output not in seen:
            continue
        seen[link.output] = seen[link.output] & needed[link.output]
        for name, op in link.terms:
            if name in needed:
                mark = reached_back(op, seen[link.output])
                seen[name] = seen[name] | mark if name in seen else mark
    return {name: mask & needed[name] for name, mask in seen.items() if name in needed}


def widened(
    chain: Sequence[Link], marks: Mapping[str, Array], ends: Collection[str]
) -> dict[str, Array]:
    """Let tensors keep the few entries that a mask takes from them.

    Units that are saturated, as of a ReLU6, have a bias and send nothing on. If those before them
    are kept, cotangents need not be copied for their sake: a few lines of them are put to 0.

    Parameters
    ----------
    chain, marks
        See `live_entries`.
    ends : collection of str
        Inputs and outputs of the program, which stay what they are.
    """
    found = dict(marks)
    readers = Counter(name for link in chain for name, _ in link.terms)
    for link in reversed(chain):
        if len(link.terms) != 1:
            continue
        ((name, op),) = link.terms
        if not isinstance(op, Diagonal) or name in ends or readers[name] > 1:
            continue
        mark, wide = found.get(name), found.get(link.output)
        if mark is None or wide is None or (mark & ~wide).any():
            continue
        more = int(wide.sum()) - int(mark.sum())
        scale = np.broadcast_to(op.scale, op.in_shape)
        if 0 < more <= FEW * int(mark.sum()) and (scale[mark] == 1).all():
            found[name] = wide
    return found


def reached(op: LinearMap, live: Array) -> Array:
    """Mark outputs that depend on some live input."""
    if live.all() and isinstance(op, Reshape | Conv):
        return np.ones(op.out_shape, bool)
    return _marked(op, live, back=False)


def reached_back(op: LinearMap, live: Array) -> Array:
    """Mark inputs that some live output depends on."""
    return _marked(op, live, back=True)


def _marked(op: LinearMap, live: Array, *, back: bool) -> Array:
    shape = op.in_shape if back else op.out_shape
    if not live.any():
        return np.zeros(shape, bool)
    if isinstance(op, Chain):
        parts = op.maps[::-1] if back else op.maps
        return reduce(lambda mark, part: _marked(part, mark, back=back), parts, live)
    if isinstance(op, Diagonal):
        return live & np.broadcast_to(op.scale != 0, shape)
    if isinstance(op, Conv):
        return _windows(op, live, back=back)
    if isinstance(op, MatMul):
        return _lines(op, live, shape, back=back)
    return live.reshape(shape) if isinstance(op, Reshape) else _sized(op, live, back=back)


def _sized(op: LinearMap, live: Array, *, back: bool) -> Array:
    """By the absolute values of the map, which let nothing cancel; infinite ones count, and NaN."""
    sized = live.astype(np.float32)[None]
    size = op.absolute()
    with np.errstate(under="ignore", over="ignore", invalid="ignore"):
        found: Array = size.rmatvec(sized) if back else size.matvec(sized)
    hit: Array = found[0] != 0
    return hit


def _lines(op: MatMul, live: Array, shape: Shape, *, back: bool) -> Array:
    """Look at those lines of a product alone that have something live: often a class token's."""
    if live.all():
        return _of_all(op, shape, back=back)
    axis = -1 if op.left else -2
    if op.matrix.ndim == 2 and op.matrix.size > LARGE:
        return np.broadcast_to(live.any(axis=-3 - axis, keepdims=True), shape)
    others = tuple(i for i in range(live.ndim) if i != live.ndim + axis)
    some = np.flatnonzero(live.any(axis=others))
    if len(some) == shape[axis]:
        return _sized(op, live, back=back)
    x, y = ([*whole] for whole in (op.in_shape, op.out_shape))
    x[axis] = y[axis] = len(some)
    smaller = replace(op, in_shape=tuple(x), out_shape=tuple(y))
    mark = np.zeros(shape, bool)
    at = (..., some) if op.left else (..., some, slice(None))
    mark[at] = _sized(smaller, live.take(some, axis=axis), back=back)
    return mark


def _of_all(op: MatMul, shape: Shape, *, back: bool) -> Array:
    """What a product marks where all is live: to look at its matrices is less than a product."""
    if op.matrix.ndim == 2 and op.matrix.size > LARGE:
        return np.ones(shape, bool)
    some = (op.matrix != 0).any(axis=-2 if back == op.left else -1)
    lines = some[..., :, None] if op.left else some[..., None, :]
    wide = np.broadcast_to(lines, (*op.out_shape[:-2], *shape[-2:]))
    # Going back, x may have been broadcast.
    return wide if wide.shape == shape else sum_to(wide[None], shape)[0] != 0


def _windows(op: Conv, live: Array, *, back: bool) -> Array:
    """Every channel of a group at once, and one axis after the other: what a window meets."""
    g, (n, *_) = op.group, op.in_shape
    given, taken = (op.out_shape, op.in_shape) if back else (op.in_shape, op.out_shape)
    hit = np.asarray(live.reshape(n, g, -1, *given[2:]).any(axis=2))
    for axis, kernel in enumerate(op.weight.shape[2:]):
        hit = np.moveaxis(hit, 2 + axis, 0)
        found = np.zeros((taken[2 + axis], *hit.shape[1:]), bool)
        s, d, p = op.strides[axis], op.dilations[axis], op.begin[axis]
        outputs, inputs = op.out_shape[2 + axis], op.in_shape[2 + axis]
        for k in range(kernel):
            # Output o reads input o * s + shift.
            shift = k * d - p
            low, high = max(-(shift // s), 0), min((inputs - 1 - shift) // s + 1, outputs)
            if low < high:
                reads = slice(low * s + shift, (high - 1) * s + shift + 1, s)
                if back:
                    found[reads] |= hit[low:high]
                else:
                    found[low:high] |= hit[reads]
        hit = np.moveaxis(found, 0, 2 + axis)
    wide = np.broadcast_to(hit[:, :, None], (n, g, taken[1] // g, *taken[2:]))
    return wide.reshape(taken)
