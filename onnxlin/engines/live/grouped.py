"""Convolutions of groups between live entries: products for each group, or of single entries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp

from onnxlin.engines.live.places import Places
from onnxlin.engines.live.windows import Windows
from onnxlin.primitives import Adjoint, Array, Conv, LinearMap, Shape

# Entries of a group's kernel at each tap, up to which they are multiplied one by one.
FEW = 4


@dataclass(frozen=True, eq=False)
class Groups:
    """Each group's lines, side by side, go through a convolution of their own.

    Parameters
    ----------
    parts : tuple of (Windows, source lines, target lines)
    """

    parts: tuple[tuple[Windows, Array, Array], ...]

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Take a group's lines, add its products, and put them back."""
        if fresh:
            out[...] = 0
        for step, given, taken in self.parts:
            made = np.empty((len(taken), G.shape[1]), G.dtype)
            step(G.take(given, axis=0), made, fresh=True)
            # No line is of two groups.
            if fresh:
                out[taken] = made
            else:
                out[taken] += made

    @property
    def most(self) -> int:
        """Lines that are held for a group."""
        return max((len(given) + len(taken) for _, given, taken in self.parts), default=0)

    def seconds(self, rows: int) -> float:
        """By the products."""
        return sum(step.seconds(rows) for step, *_ in self.parts)

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables of weights."""
        return sum(step.table_bytes for step, *_ in self.parts)


def groups(
    op: LinearMap, source: Places, target: Places, dtype: np.dtype[Any], rows: int
) -> Groups | sp.csr_array | None:
    """The products of a convolution of groups, or its matrix ``(target lines, source lines)``.

    None where it is no such thing.
    """
    base, back = (op.base, False) if isinstance(op, Adjoint) else (op, True)
    if not isinstance(base, Conv) or base.group < 2 or not (source.pixels and target.pixels):
        return None
    if prod(base.weight.shape[:2]) <= FEW * base.group:
        return _matrix(base, source, target, dtype, back=back)
    n, m = base.group, base.weight.shape[0] // base.group
    of_source, of_target = (_groups_of(places, n) for places in (source, target))
    parts = []
    for j in range(n):
        kernel = base.weight[j * m : (j + 1) * m]
        shapes = [(s[0], s[1] // n, *s[2:]) for s in (base.in_shape, base.out_shape)]
        one = replace(base, in_shape=shapes[0], out_shape=shapes[1], weight=kernel, group=1)
        given, taken = np.flatnonzero(of_source == j), np.flatnonzero(of_target == j)
        if len(given) and len(taken):
            sides = _of_group(source, n, j, given), _of_group(target, n, j, taken)
            parts.append((Windows(one, back, *sides, dtype, rows), given, taken))
    return Groups(tuple(parts))


def _groups_of(places: Places, n: int) -> Array:
    """Group of every line."""
    channels = places.shape[1]
    found: Array = places.codes % channels // (channels // n)
    return found


def _of_group(places: Places, n: int, j: int, lines: Array) -> Places:
    """The lines of a group as those of a tensor that has its channels alone."""
    _, channels, *space = places.shape
    each, size = channels // n, prod(space)
    pixel, channel = np.divmod(places.codes[lines], channels)
    sample, place = np.divmod(pixel, size)
    flat = (sample * each + channel - j * each) * size + place
    return Places((places.shape[0], each, *space), flat, True)


def _matrix(
    op: Conv, source: Places, target: Places, dtype: np.dtype[Any], *, back: bool
) -> sp.csr_array:
    """Entry by entry: for each line of the target, the taps that meet a line of the source."""
    ours, theirs = target.shape[1] // op.group, source.shape[1] // op.group
    pixel, channel = np.divmod(target.codes, target.shape[1])
    sample, pixel = np.divmod(pixel, prod(target.shape[2:]))
    group, own = np.divmod(channel, ours)
    size = prod(source.shape[2:])
    # The last one is read where a tap meets nothing.
    known = np.append(source.line, -1)
    lines, weights = [], []
    for tap in np.ndindex(*op.weight.shape[2:]):
        spot = _met(op, source, target, tap, back=back).take(pixel)
        for other in range(theirs):
            first = (sample * source.shape[1] + group * theirs + other) * size
            lines.append(known.take(np.where(spot < 0, -1, first + spot)))
            pair = (other, own) if back else (own, other)
            output = group * (theirs if back else ours) + pair[0]
            weights.append(op.weight[(output, pair[1], *tap)])
    column = np.stack(lines, axis=1)
    met = column >= 0
    value = np.stack(weights, axis=1)[met].astype(dtype)
    ends = np.concatenate([[0], np.cumsum(met.sum(axis=1))])
    return sp.csr_array((value, column[met], ends), shape=(len(target), len(source)))


def _met(op: Conv, source: Places, target: Places, tap: Shape, *, back: bool) -> Array:
    """Source pixel that each target pixel of a sample meets at a tap, -1 where it is none."""
    space = target.shape[2:]
    found, inside = np.zeros(space, np.int64), np.ones(space, bool)
    geometry = zip(tap, op.strides, op.dilations, op.begin, source.shape[2:], strict=True)
    for x, (k, s, d, p, size) in zip(np.indices(space), geometry, strict=True):
        place, rest = np.divmod(x + p - k * d, s) if back else (x * s + k * d - p, 0)
        inside &= (rest == 0) & (place >= 0) & (place < size)
        found = found * size + place
    return np.where(inside, found, -1).reshape(-1)
