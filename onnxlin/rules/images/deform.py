"""DeformConv: a convolution whose taps each read the image at an offset of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod

import numpy as np

from onnxlin.primitives import (
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Transpose,
    chain,
)
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
from onnxlin.rules.padding import spatial_attr, strides_and_dilations
from onnxlin.rules.registry import rule


class Deformed:
    """The parts of a deformable convolution at x.

    G groups of channels share offsets; K taps and P places make K P points. ``value`` names, for
    each of the operands x, weight and mask, what y is as a linear map of it.
    """

    def __init__(self, node: NodeAtX) -> None:
        self.node = node
        self.n, self.channels, *spatial = node.shape(0)
        self.spatial = tuple(spatial)
        self.kernel = node.shape(1)[2:]
        self.places = node.out_shape[2:]
        self.groups = node.attr("offset_group")
        self.K, self.P = prod(self.kernel), prod(self.places)
        # Images and offset groups together, channels of a group, points.
        self.lead = self.n * self.groups
        self.points = (self.lead, self.channels // self.groups, self.K * self.P)

    def coordinates(self, offset: Array) -> list[Array]:
        """Where each point reads, axis by axis: ``(lead, K P)`` each."""
        node, rank = self.node, len(self.kernel)
        strides, dilations = strides_and_dilations(node, rank)
        begin = spatial_attr(node, "pads", 2 * rank, 0)[:rank]
        moved = offset.reshape(self.lead, *self.kernel, rank, *self.places)
        found = []
        for axis in range(rank):
            tap = np.arange(self.kernel[axis]) * dilations[axis]
            place = np.arange(self.places[axis]) * strides[axis] - begin[axis]
            # A tap and a place of this axis, among axes (*kernel, *places).
            at = np.expand_dims(tap, _others(axis, 2 * rank)) + np.expand_dims(
                place, _others(rank + axis, 2 * rank)
            )
            u = np.take(moved, axis, axis=1 + rank) + at.astype(offset.dtype)
            found.append(u.reshape(self.lead, -1))
        return found

    @cached_property
    def reads(self) -> list[Taps]:
        """Pixels and weights of every axis; zeros lie outside."""
        seen = self.coordinates(self.node.native(2))
        found = []
        for u, at, size in zip(seen, self.wide, self.spatial, strict=True):
            read = taps.linear(np.floor(u).astype(np.int64), at)
            inside = (read.index >= 0) & (read.index < size)
            found.append(Taps(np.where(inside, read.index, -1), read.weight, read.slope, read.size))
        return found

    @cached_property
    def wide(self) -> list[Array]:
        """Coordinates in double precision."""
        return self.coordinates(self.node.value(2).astype(np.float64))

    def sampler(self, steep: int = -1, *, size: bool = False) -> LinearMap:
        """Read x at all points, or take the slope along one axis: ``x -> (lead, C / G, K P)``."""
        area = prod(self.spatial)
        flat = joint_index([r.index for r in self.reads], self.spatial)
        index = np.where(flat < 0, -1, flat + area * np.arange(self.lead).reshape(-1, 1, 1))
        weights = joint_weight(
            [r.slope if i == steep else r.weight for i, r in enumerate(self.reads)]
        )
        table = matrix(index, np.abs(weights) if size else weights, self.lead * area)
        shape = (self.lead, self.points[1], *self.spatial)
        return chain(Reshape(self.node.shape(0), shape), sampled(shape, table, self.lead))

    @cached_property
    def read(self) -> Array:
        """What is read of x."""
        return self.sampler().matvec(self.node.value(0)[None])[0]

    @cached_property
    def mask(self) -> Array:
        """The mask for all points, ``(lead, 1, K P)``."""
        if not self.node.has(4):
            return np.ones((1, 1, 1), dtype=self.node.dtype)
        return self.node.value(4).reshape(self.lead, 1, -1)

    def masked(self) -> LinearMap:
        """Multiply what is read by the mask."""
        return Diagonal.of(self.points, self.mask)

    def masking(self) -> LinearMap:
        """Multiply the mask by what is read: ``mask -> (lead, C / G, K P)``."""
        compact = (self.lead, 1, self.K * self.P)
        spread = Broadcast(compact, self.points)
        times = Diagonal.of(self.points, self.read)
        return chain(Reshape(self.node.shape(4), compact), spread, times)

    def offsetting(self) -> LinearMap:
        """Move what is read along the offsets: ``offset -> (lead, C / G, K P)``."""
        rank, x = len(self.kernel), self.node.value(0)[None]
        slope = np.stack([self.sampler(i).matvec(x)[0] for i in range(rank)], axis=-1)
        apart = (self.lead, self.K, rank, self.P)
        turned = Transpose.of(apart, (0, 1, 3, 2))
        compact = (self.lead, 1, self.K * self.P, rank)
        return chain(
            Reshape(self.node.shape(2), apart),
            turned,
            Reshape(turned.out_shape, compact),
            by_coordinates(compact, self.node.cast(slope)),
        )

    @property
    def _columns(self) -> tuple[int, int, int, int]:
        """Images, groups of the convolution, taps of all channels of one, places."""
        group = self.node.attr("group")
        return (self.n, group, self.channels // group * self.K, self.P)

    @cached_property
    def weight(self) -> Array:
        """The kernel as matrices, ``(group, M / group, C / group K)``."""
        _, group, depth, _ = self._columns
        return self.node.value(1).reshape(group, -1, depth)

    def convolved(self) -> LinearMap:
        """Multiply by the kernel: ``(lead, C / G, K P) -> y``."""
        columns = self._columns
        turn = Transpose.of(columns, (0, 1, 3, 2))
        times = MatMul.of(turn.out_shape, np.swapaxes(self.weight, -1, -2))
        back = Transpose.of(times.out_shape, (0, 1, 3, 2))
        to_y = Reshape(back.out_shape, self.node.out_shape)
        return chain(Reshape(self.points, columns), turn, times, back, to_y)

    def convolving(self) -> LinearMap:
        """Multiply the kernel by what is read: ``weight -> y``."""
        columns = (self.read * self.mask).reshape(self._columns)
        times = MatMul.of(self.weight.shape, columns)
        enter = Reshape(self.node.shape(1), self.weight.shape)
        return chain(enter, times, Reshape(times.out_shape, self.node.out_shape))

    def factors(self) -> dict[int, LinearMap]:
        """For each traced factor, y as a linear map of it."""
        makers: dict[int, Callable[[], LinearMap]] = {
            0: lambda: chain(self.sampler(), self.masked(), self.convolved()),
            1: self.convolving,
            4: lambda: chain(self.masking(), self.convolved()),
        }
        return {i: make() for i, make in makers.items() if self.node.traced(i)}

    def size(self) -> Array:
        """Size of what adds up to y, with the roundings of the coordinates."""
        x = np.abs(self.node.value(0))[None]
        found = np.asarray(self.sampler(size=True).matvec(x)[0])
        for i, u in enumerate(self.wide):
            found = found + self.sampler(i, size=True).matvec(x)[0] * (np.abs(u) + 1)[:, None]
        spread = chain(self.masked(), self.convolved()).absolute()
        return spread.matvec(found[None])[0]


def _others(axis: int, rank: int) -> tuple[int, ...]:
    return tuple(i for i in range(rank) if i != axis)


@rule(
    "DeformConv",
    status="smooth",
    exact_if=lambda t: not t[2] and sum(t[i] for i in (0, 1, 4) if i < len(t)) < 2,
)
def deform_conv(node: NodeAtX) -> Affine:
    """Convolution that reads between pixels, at offsets, and weighs what it reads by a mask.

    ``x : (N, C, *spatial) -> y : (N, M, *places)``. ``frozen`` holds the offsets, and takes an
    equal share of the product of x, kernel and mask for each of them that depends on x.
    Source: ONNX operator specification, DeformConv.
    """
    node.ignore("kernel_shape")  # the weight has it
    parts = Deformed(node)
    terms = parts.factors()
    y = chain(parts.masked(), parts.convolved()).matvec(parts.read[None])[0]
    bias = y
    if node.frozen and terms:
        share = Diagonal.of(node.out_shape, node.cast(1 / len(terms)))
        terms = terms if len(terms) == 1 else {i: chain(op, share) for i, op in terms.items()}
        bias = np.zeros_like(y)
    elif not node.frozen:
        if node.traced(2):
            terms[2] = chain(parts.offsetting(), parts.masked(), parts.convolved())
        bias = y - sum(op.matvec(node.value(i)[None])[0] for i, op in terms.items())
    if node.has(3):
        shape = (1, node.shape(3)[0], *(1,) * len(parts.kernel))
        spread = Broadcast(shape, node.out_shape)
        terms[3] = chain(Reshape(node.shape(3), shape), spread)
    margin = (lambda: _whole(parts)) if node.traced(2) else None
    # Three roundings make a coordinate, three a weight, one more the mask.
    roundings = 10 + parts.weight.shape[-1]
    return Affine(terms, bias, margin, parts.size(), roundings)


def _whole(parts: Deformed) -> Array:
    """Distance of coordinates from the middles of pixels, where the weights have kinks."""
    return np.abs(np.stack(parts.wide) - np.rint(np.stack(parts.wide)))
