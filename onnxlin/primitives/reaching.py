"""Which outputs of a map some inputs reach, and from which inputs some outputs are reached.

A superset: what cancels counts, and of large matrices nobody looks at the coefficients.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from onnxlin.primitives.broadcast import sum_to
from onnxlin.primitives.combine import Adjoint, Chain, Sum
from onnxlin.primitives.conv import Conv
from onnxlin.primitives.diagonal import Diagonal
from onnxlin.primitives.layout import Reshape
from onnxlin.primitives.linear_map import Array, LinearMap, Shape
from onnxlin.primitives.matmul import MatMul

# Entries of a matrix from which on it is taken for full: looking at each costs more than it saves.
LARGE = 2**22


def reached(op: LinearMap, live: Array) -> Array:
    """Mark outputs that depend on some live input."""
    if live.all() and isinstance(op, Reshape | Conv):
        return np.ones(op.out_shape, bool)
    return _marked(op, live, LARGE, back=False)


def reached_back(op: LinearMap, live: Array, large: int = LARGE) -> Array:
    """Mark inputs that some live output depends on.

    Parameters
    ----------
    live : bool array of ``op.out_shape``
    large : int
        Matrices of more entries are taken for full.
    """
    return _marked(op, live, large, back=True)


def _marked(op: LinearMap, live: Array, large: int, *, back: bool) -> Array:
    shape = op.in_shape if back else op.out_shape
    if not live.any():
        return np.zeros(shape, bool)
    if isinstance(op, Adjoint | Chain | Sum):
        return _by_parts(op, live, large, back=back)
    if isinstance(op, Diagonal):
        return live & np.broadcast_to(op.scale != 0, shape)
    if isinstance(op, Conv):
        return _windows(op, live, back=back)
    if isinstance(op, MatMul):
        return _lines(op, live, shape, large, back=back)
    return live.reshape(shape) if isinstance(op, Reshape) else _sized(op, live, back=back)


def _by_parts(op: Adjoint | Chain | Sum, live: Array, large: int, *, back: bool) -> Array:
    if isinstance(op, Adjoint):
        return _marked(op.base, live, large, back=not back)
    if isinstance(op, Chain):
        parts = op.maps[::-1] if back else op.maps
        return reduce(lambda mark, part: _marked(part, mark, large, back=back), parts, live)
    marks = [_marked(part, live, large, back=back) for part in op.maps]
    return np.logical_or.reduce(marks)


def _sized(op: LinearMap, live: Array, *, back: bool) -> Array:
    """By the absolute values of the map, which let nothing cancel; infinite ones count, and NaN."""
    sized = live.astype(np.float32)[None]
    size = op.absolute()
    with np.errstate(under="ignore", over="ignore", invalid="ignore"):
        found: Array = size.rmatvec(sized) if back else size.matvec(sized)
    hit: Array = found[0] != 0
    return hit


def _lines(op: MatMul, live: Array, shape: Shape, large: int, *, back: bool) -> Array:
    """Look at those lines of a product alone that have something live: often a class token's."""
    if live.all():
        return _of_all(op, shape, large, back=back)
    axis = -1 if op.left else -2
    if op.matrix.ndim == 2 and op.matrix.size > large:
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


def _of_all(op: MatMul, shape: Shape, large: int, *, back: bool) -> Array:
    """What a product marks where all is live: to look at its matrices is less than a product."""
    if op.matrix.ndim == 2 and op.matrix.size > large:
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
