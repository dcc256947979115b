"""Pooling of regions of interest: RoiAlign reads between pixels, MaxRoiPool whole pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnxlin.primitives import Array, Diagonal, LinearMap, Reshape, Select, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.guards import Guard, contest, lead
from onnxlin.rules.images import taps
from onnxlin.rules.images.taps import by_coordinates, joint_index, joint_weight, matrix, sampled
from onnxlin.rules.registry import rule


@dataclass(frozen=True, eq=False)
class Side:
    """What the bins of all regions read along one axis.

    Parameters
    ----------
    index, weight : arrays (regions, bins, 2 * samples)
        Pixels and their weights; both of a sample's pixels stand side by side.
    start, end : array like weight
        Slope of the weight by the first and the last coordinate of the region.
    size : array like weight
        Size of the coordinates' roundings in the weight.
    used : bool array like weight
        Samples that the region really has.
    away : array (regions,)
        Distance of the region's samples from where they read by another formula.
    """

    index: Array
    weight: Array
    start: Array
    end: Array
    size: Array
    used: Array
    away: Array

    @property
    def count(self) -> Array:
        """Samples of a bin, ``(regions,)``."""
        found: Array = self.used[:, 0].sum(axis=-1) // 2
        return found


def _side(node: NodeAtX, axis: int, bins: int) -> Side:
    """Samples along a spatial axis: 0 is height, 1 is width."""
    size, scale = node.shape(0)[2 + axis], node.attr("spatial_scale")
    half = node.attr("coordinate_transformation_mode") == "half_pixel"
    ratio = node.attr("sampling_ratio")
    spans = [_span(rois, axis, scale, half=half) for rois in (node.native(1), node.value(1))]
    raw = spans[1][1]
    # Only in the older transformation are regions at least one pixel long.
    spans = spans if half else [(start, np.maximum(n, 1)) for start, n in spans]
    _, length = spans[0]
    count = np.full(len(length), ratio) if ratio > 0 else np.ceil(length / bins).astype(np.int64)
    i = np.arange(max(int(count.max(initial=0)), 1))
    share = (np.arange(bins)[:, None] + (i + 0.5) / np.maximum(count, 1)[:, None, None]) / bins
    seen, at = (a[:, None, None] + share * n[:, None, None] for a, n in spans)
    used = np.broadcast_to((i < count[:, None])[:, None], seen.shape)
    inside = used & (seen >= -1) & (seen <= size)
    # Beyond the middles of the outermost pixels their values go on.
    free = (seen >= 0) & (seen < size - 1)
    cell = np.where(free, np.floor(seen), np.clip(seen, 0, size - 1)).astype(np.int64)
    read = taps.linear(cell, np.where(free, at, cell))
    stretch = share * (half | (raw > 1))[:, None, None]
    slope = read.slope * (inside & free)[..., None] * scale
    parts = {
        "index": np.where(inside[..., None], np.minimum(read.index, size - 1), -1),
        "weight": read.weight * inside[..., None],
        "start": slope * (1 - stretch)[..., None],
        "end": slope * stretch[..., None],
        "size": np.abs(slope) / scale * (np.abs(at) + 1)[..., None],
        "used": np.repeat(used[..., None], 2, axis=-1),
    }
    flat = {name: part.reshape(len(length), bins, -1) for name, part in parts.items()}
    whole = np.abs(at - np.rint(at)).min(axis=(1, 2))
    jumps = _jumps(raw, bins, half=half, counted=ratio <= 0)
    return Side(**flat, away=np.minimum(whole, jumps) / scale)


def _jumps(length: Array, bins: int, *, half: bool, counted: bool) -> Array:
    """How far both ends of a region may move before its length counts in another way."""
    found = np.full(len(length), np.inf)
    if counted:
        kept = length if half else np.maximum(length, 1)
        found = np.abs(kept - np.rint(kept / bins) * bins)
    if not half:
        # A length that is cut to one pixel stays where it is until it exceeds that.
        found = np.where(length < 1, 1 - length, np.minimum(found, length - 1))
    return found / 2


def _span(rois: Array, axis: int, scale: float, *, half: bool) -> tuple[Array, Array]:
    """First coordinate and length of every region, in pixels."""
    offset = 0.5 if half else 0.0
    start, end = (rois[:, i] * rois.dtype.type(scale) - offset for i in (1 - axis, 3 - axis))
    return start, end - start


@rule("RoiAlign", constant=(2,), status="smooth", exact_if=lambda traced: not traced[1])
def roi_align(node: NodeAtX) -> Affine:
    """Mean, or largest, of samples between pixels in each bin of a region; ``frozen`` holds these.

    ``x : (N, C, H, W), rois : (R, 4), batch : (R,) -> y : (R, C, bins, bins)``. The largest is, as
    the runtime has it, that of all pixels times their weights, not of the samples they make up.
    """
    bins = node.attr("output_height"), node.attr("output_width")
    down, right = (_side(node, axis, n) for axis, n in enumerate(bins))
    rows, columns = _placed(down, 2), _placed(right, 1)
    index = _in_batch(node, joint_index([rows.index, columns.index], node.shape(0)[2:]))
    pairs = {
        "value": (rows.weight, columns.weight),
        "x1": (rows.weight, columns.start),
        "y1": (rows.start, columns.weight),
        "x2": (rows.weight, columns.end),
        "y2": (rows.end, columns.weight),
        "rows": (rows.size, columns.weight),
        "columns": (rows.weight, columns.size),
    }
    weights = {name: joint_weight(pair) for name, pair in pairs.items()}
    used = joint_weight([rows.used, columns.used]) > 0
    mode = node.attr("mode")
    if mode == "max":
        reads = _largest(node, index, weights, used)
    elif mode == "avg":
        reads = _mean(node, index, weights, np.maximum(down.count * right.count, 1))
    else:
        raise node.refuse(f"mode is {mode!r}")
    return _answer(node, reads, np.minimum(down.away, right.away))


def _placed(side: Side, axis: int) -> Side:
    """Put bins on an axis of their own: ``(R, bins, 1, samples)`` or ``(R, 1, bins, samples)``."""
    names = ("index", "weight", "start", "end", "size", "used")
    parts = {name: np.expand_dims(getattr(side, name), axis) for name in names}
    return Side(**parts, away=side.away)


def _in_batch(node: NodeAtX, index: Array) -> Array:
    """Positions in the stack of images, ``(N, spatial)``, from those in the region's image."""
    batch = node.constant(2).reshape(-1, 1, 1, 1) * prod(node.shape(0)[2:])
    return np.where(index < 0, -1, index + batch)


Reads = tuple[dict[str, LinearMap], Array | None]


def _mean(node: NodeAtX, index: Array, weights: dict[str, Array], count: Array) -> Reads:
    shape = node.shape(0)
    columns = shape[0] * prod(shape[2:])
    share = 1 / count.reshape(-1, 1, 1, 1)
    return {
        name: sampled(shape, matrix(index, weight * share, columns), len(index))
        for name, weight in weights.items()
    }, None


def _largest(node: NodeAtX, index: Array, weights: dict[str, Array], used: Array) -> Reads:
    x = node.native(0)
    n, c, *_ = x.shape
    lines = x.reshape(n, c, -1).transpose(1, 0, 2).reshape(c, -1)
    # (C, R, rows, columns, taps) -> regions first, bins flat
    rivals = np.where(index < 0, 0, lines[:, index]) * weights["value"]
    rivals = np.where(used, rivals, -np.inf)
    rivals = np.moveaxis(rivals, 0, 1).reshape(len(index), c, -1, index.shape[-1])
    winner = rivals.argmax(axis=-1)[..., None]

    def won(part: Array) -> Array:
        part = np.broadcast_to(part, used.shape).reshape(len(index), 1, -1, index.shape[-1])
        return np.take_along_axis(np.broadcast_to(part, rivals.shape), winner, axis=-1)[..., 0]

    area = prod(x.shape[2:])
    batch, inside = np.divmod(won(np.broadcast_to(index, used.shape)), area)
    place = (batch * c + np.arange(c)[:, None]) * area + inside
    empty = ~np.isfinite(rivals.max(axis=-1)) | (won(index) < 0)
    take = Select.of(x.shape, np.where(empty, -1, place))
    maps: dict[str, LinearMap] = {
        name: chain(take, Diagonal.of(take.out_shape, node.cast(won(weight))))
        for name, weight in weights.items()
    }
    return maps, lead(rivals)


def _answer(node: NodeAtX, reads: Reads, away: Array) -> Affine:
    maps, leads = reads
    value = maps["value"]
    x = node.value(0)[None]
    size = value.absolute().matvec(np.abs(x))[0]
    for name in ("rows", "columns"):
        size = size + maps[name].absolute().matvec(np.abs(x))[0]
    to_y = Reshape(value.out_shape, node.out_shape)
    terms: dict[int, LinearMap] = {0: chain(value, to_y)}
    bias = np.zeros((), dtype=node.dtype)
    if node.traced(1) and not node.frozen:
        slope = np.stack([maps[name].matvec(x)[0] for name in ("x1", "y1", "x2", "y2")], axis=-1)
        compact = (len(slope), 1, 1, 4)
        move = by_coordinates(compact, node.cast(slope))
        terms[1] = chain(Reshape(node.shape(1), compact), move, to_y)
        bias = -terms[1].matvec(node.value(1)[None])[0]
    kinks = [] if leads is None else [leads.reshape(node.out_shape)]
    if node.traced(1):
        kinks.append(np.broadcast_to(away.reshape(-1, 1, 1, 1), node.out_shape))
    margin = (lambda: np.min(kinks, axis=0)) if kinks else None
    # Eight roundings make a coordinate, two a weight of each axis.
    found = Affine(terms, bias, margin, size.reshape(node.out_shape), 16)
    return found if leads is None else replace(found, guards="its rivals are weighted pixels")


@rule("MaxRoiPool")
def max_roi_pool(node: NodeAtX) -> Affine:
    """Largest pixel in each bin of a region; an empty bin is 0. Regions are rounded to pixels.

    ``x : (N, C, H, W), rois : (R, 5) -> y : (R, C, *pooled)``.
    """
    z, rois = node.native(0), node.native(1)
    scale = rois.dtype.type(node.attr("spatial_scale"))
    # Half a pixel is rounded away from 0.
    ends = np.trunc(rois[:, 1:] * scale + np.copysign(rois.dtype.type(0.5), rois[:, 1:]))
    bins = tuple(node.attr("pooled_shape"))
    sides = [_pixels(ends[:, 1 - a], ends[:, 3 - a], bins[a], z.shape[2 + a]) for a in range(2)]
    area = joint_index([sides[0][:, :, None], sides[1][:, None]], z.shape[2:])
    batch = rois[:, 0].astype(np.int64).reshape(-1, 1, 1, 1, 1) * z.shape[1]
    planes = (batch + np.arange(z.shape[1]).reshape(-1, 1, 1, 1)) * prod(z.shape[2:])
    index = np.where(area[:, None] < 0, -1, planes + area[:, None])
    rivals = np.where(index < 0, -np.inf, z.ravel()[index])
    winner = rivals.argmax(axis=-1)[..., None]
    chosen = np.take_along_axis(index, winner, axis=-1)[..., 0]
    moving = rois[:, 1:].astype(np.float64) * scale

    def guards() -> list[Guard]:
        whole = np.rint(moving)
        corners = Select.of(rois.shape, np.arange(rois.size).reshape(rois.shape)[:, 1:])
        edges = ((whole - 0.5) / scale, (whole + 0.5) / scale)
        found = [contest(z, index, chosen, what="window")]
        return [*found, Guard({1: corners}, *edges, "step")] if node.traced(1) else found

    return Affine({0: Select.of(z.shape, chosen)}, roundings=0, guards=guards)


def _pixels(start: Array, end: Array, bins: int, size: int) -> Array:
    """Pixels of every bin along one axis, ``(regions, bins, most pixels)``; -1 fills up."""
    width = np.maximum(end - start + 1, 1)[:, None] / start.dtype.type(bins)
    i = np.arange(bins, dtype=start.dtype)
    first = np.clip(np.floor(i * width) + start[:, None], 0, size).astype(np.int64)
    stop = np.clip(np.ceil((i + 1) * width) + start[:, None], 0, size).astype(np.int64)
    index = first[..., None] + np.arange(max(int((stop - first).max(initial=0)), 1))
    return np.where(index < stop[..., None], index, -1)
