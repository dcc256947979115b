"""GridSample and AffineGrid: images read at the points of a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Along, Array, Reshape, Shape, Transpose, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.images import taps
from onnxlin.rules.images.taps import (
    Taps,
    by_coordinates,
    joint_index,
    joint_weight,
    matrix,
    sampled,
)
from onnxlin.rules.registry import rule


@dataclass(frozen=True, eq=False)
class Border:
    """The edges of one axis, and what the padding mode does beyond them.

    Parameters
    ----------
    size : int
    align : bool
        Whether -1 and 1 are the middles of the outermost pixels, not their outer edges.
    padding : {"zeros", "border", "reflection"}
    """

    size: int
    align: bool
    padding: str

    @property
    def low(self) -> float:
        """Where the axis begins."""
        return 0.0 if self.align else -0.5

    @property
    def high(self) -> float:
        """Where the axis ends."""
        return self.size - 1 - self.low

    @property
    def scale(self) -> float:
        """Pixels a unit of the grid."""
        return (self.size - self.align) / 2

    def pixels(self, grid: Array) -> Array:
        """Coordinate in pixels, rounded step by step as the runtime does it."""
        if self.align:
            return (grid + 1) / 2 * (self.size - 1)
        return ((grid + 1) * self.size - 1) / 2

    def mirrored(self, u: Array) -> tuple[Array, Array]:
        """Sign and offset of the reflections that bring u between the edges."""
        low, high, span = self.low, self.high, self.high - self.low
        before, after = u < low, u > high
        over = np.where(before, low - u, np.where(after, u - high, 0))
        turns = np.floor(over / span)
        odd = turns % 2 == 1
        sign = np.where((before | after) & ~odd, -1.0, 1.0)
        down = np.where(odd, (turns + 1) * span, 2 * low - turns * span)
        up = np.where(odd, -(turns + 1) * span, 2 * high + turns * span)
        return sign, np.where(before, down, np.where(after, up, 0.0))

    def bent(self, u: Array) -> tuple[Array, Array]:
        """Sign and offset of what padding does to a coordinate before pixels are read.

        The runtime clips pixels, not coordinates, at the border.
        """
        if self.padding == "reflection":
            return self.mirrored(u)
        return np.ones(()), np.zeros(())

    def inside(self, index: Array) -> Array:
        """Pixels that stand for those beyond the edges; -1 for zero."""
        if self.padding == "border":
            return np.clip(index, 0, self.size - 1)
        if self.padding == "reflection":
            sign, offset = self.mirrored(index)
            return (sign * index + offset).astype(np.int64)
        return np.where((index >= 0) & (index < self.size), index, -1)


@rule("GridSample", status="smooth", exact_if=lambda traced: not traced[1])
def grid_sample(node: NodeAtX) -> Affine:
    """Read images between their pixels at the points of a grid; ``frozen`` holds the grid.

    ``x : (N, C, *spatial), grid : (N, *out, D) -> y : (N, C, *out)``; the last axis of the grid
    counts the spatial axes from the last one on. Source: ONNX operator specification, GridSample.
    """
    axes = [Border(n, *_options(node)) for n in node.shape(0)[2:]]
    if axes[0].padding == "reflection" and any(axis.high == axis.low for axis in axes):
        raise node.refuse("an axis of one pixel is reflected at its middle")
    mode = node.attr("mode")
    # The runtime knows these modes by their older names as well.
    read = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    native = _columns(node.native(1))
    wide = [u.astype(np.float64) for u in _columns(node.value(1))]
    reads = _reads(axes, native, wide, read)
    # Cubic weights and their slopes are continuous.
    margin = None if read == "cubic" else lambda: _kinks(axes, wide, read)
    return _piece(node, axes, reads, wide, margin)


def _options(node: NodeAtX) -> tuple[bool, str]:
    padding = node.attr("padding_mode")
    if padding not in ("zeros", "border", "reflection"):
        raise node.refuse(f"padding_mode is {padding!r}")
    return bool(node.attr("align_corners")), padding


def _columns(grid: Array) -> list[Array]:
    """Coordinates of all points, axis by axis: ``(N, points)`` each."""
    shape = (len(grid), prod(grid.shape[1:-1]))
    return [grid[..., -1 - i].reshape(shape) for i in range(grid.shape[-1])]


def _reads(axes: list[Border], native: list[Array], wide: list[Array], mode: str) -> list[Taps]:
    """What each axis is read at, with slopes by the grid."""
    seen = [axis.pixels(u) for axis, u in zip(axes, native, strict=True)]
    if mode == "nearest":
        seen = [np.rint(u) for u in seen]
    found = []
    for axis, u, grid in zip(axes, seen, wide, strict=True):
        sign, offset = axis.bent(u)
        cell = np.floor(sign * u + offset).astype(np.int64)
        at = _taps(mode, cell, sign * axis.pixels(grid) + offset)
        slope = at.moved(sign * axis.scale)
        found.append(replace(at, index=axis.inside(at.index), slope=slope))
    return found


def _taps(mode: str, cell: Array, u: Array) -> Taps:
    if mode == "nearest":
        return taps.nearest(cell)
    return taps.linear(cell, u) if mode == "linear" else taps.cubic(cell, u)


def _piece(
    node: NodeAtX,
    axes: list[Border],
    reads: list[Taps],
    wide: list[Array],
    margin: Callable[[], Array] | None,
) -> Affine:
    """Put the weights of the axes together."""
    shape, x = node.shape(0), node.value(0)[None]
    n, area = shape[0], prod(shape[2:])
    flat = joint_index([r.index for r in reads], shape[2:])
    index = np.where(flat < 0, -1, flat + area * np.arange(n).reshape(-1, 1, 1))

    def weighing(weights: list[Array]) -> sp.csr_array:
        return matrix(index, joint_weight(weights), n * area)

    def steep(i: int) -> sp.csr_array:
        return weighing([r.slope if i == j else r.weight for j, r in enumerate(reads)])

    look = sampled(shape, weighing([r.weight for r in reads]), n)
    size = sampled(shape, weighing([r.size for r in reads]), n).matvec(np.abs(x))[0]
    for i, u in enumerate(wide):
        # Roundings of a coordinate are relative to its distance from -1.
        moved = sampled(shape, abs(steep(i)), n).matvec(np.abs(x))[0]
        size = size + moved * (np.abs(u) + 1)[:, None]
    to_y = Reshape(look.out_shape, node.out_shape)
    terms = {0: chain(look, to_y)}
    bias, kinks = np.zeros((), dtype=node.dtype), None
    if node.traced(1):
        kinks = margin
    if node.traced(1) and not node.frozen:
        slope = np.stack(
            [sampled(shape, steep(i), n).matvec(x)[0] for i in reversed(range(len(axes)))], axis=-1
        )
        compact = (n, 1, slope.shape[2], len(axes))
        move = by_coordinates(compact, node.cast(slope))
        terms[1] = chain(Reshape(node.shape(1), compact), move, to_y)
        bias = -terms[1].matvec(node.value(1)[None])[0]
    # Five roundings make a coordinate, up to seven a cubic weight, two weights meet a pixel.
    return Affine(terms, bias, kinks, size.reshape(node.out_shape), 16)


def _kinks(axes: list[Border], wide: list[Array], mode: str) -> Array:
    """Distance, in units of the grid, of every point from where it reads by another formula."""
    found = []
    for axis, grid in zip(axes, wide, strict=True):
        u = axis.pixels(grid)
        shift = 0.5 if mode == "nearest" else 0.0
        away = np.abs(u - shift - np.rint(u - shift))
        found.append(away / axis.scale if axis.scale else np.full_like(u, np.inf))
    return np.min(found, axis=0)


@rule("AffineGrid", constant=(1,))
def affine_grid(node: NodeAtX) -> Affine:
    """Points of a regular grid, moved by an affine map for each image.

    ``theta : (N, D, D + 1) -> grid : (N, *spatial, D)``. Source: ONNX operator specification,
    AffineGrid.
    """
    spatial = tuple(int(n) for n in node.constant(1)[2:])
    points = node.cast(_regular(spatial, align=bool(node.attr("align_corners"))))
    moved = Along.of(node.shape(0), 2, sp.csr_array(points))
    turned = Transpose.of(moved.out_shape, (0, 2, 1))
    reshape = Reshape(turned.out_shape, node.out_shape)
    # A point is made by a product, a quotient and a sum of numbers below 2.
    return Affine({0: chain(moved, turned, reshape)}, roundings=8)


def _regular(spatial: Shape, *, align: bool) -> Array:
    """Homogeneous coordinates of all pixels, the last axis first: ``(pixels, D + 1)``."""
    lines = []
    for size in spatial:
        edge = 1.0 if align else 1.0 - 1.0 / size
        lines.append(np.linspace(-edge, edge, size))
    grid = np.meshgrid(*lines, indexing="ij")
    return np.stack([*(g.ravel() for g in reversed(grid)), np.ones(prod(spatial))], axis=1)
