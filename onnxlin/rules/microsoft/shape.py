"""Older or wider forms of standard operators in ``com.microsoft`` that only move entries."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Diagonal, Reshape, Select
from onnxlin.primitives.linear_map import flat_index
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.microsoft.fused import MS
from onnxlin.rules.moving.moves import telling_apart
from onnxlin.rules.registry import rule


@rule("ExpandDims", domain=MS)
def expand_dims(node: NodeAtX) -> Affine:
    """The same entries with one more axis."""
    return Affine({0: Reshape(node.shape(0), node.out_shape)}, roundings=0)


@rule("Trilu", domain=MS, constant=(1,))
def trilu(node: NodeAtX) -> Affine:
    """The upper or lower triangle of each matrix, 0 elsewhere."""
    k = int(node.constant(1).reshape(())) if node.has(1) else 0
    part = np.triu if node.attr("upper") else np.tril
    mask = part(np.ones(node.out_shape[-2:]), k)
    return Affine({0: Diagonal.of(node.out_shape, node.cast(mask))}, roundings=0)


@rule("GatherND", domain=MS, constant=(1,))
def gather_nd(node: NodeAtX) -> Affine:
    """Slices at the positions that the last axis of the indices spells out."""
    shape, index = node.shape(0), node.constant(1).astype(np.int64)
    depth = index.shape[-1]
    at = tuple(
        np.where(i < 0, i + n, i) for i, n in zip(np.moveaxis(index, -1, 0), shape, strict=False)
    )
    places = flat_index(shape)[at] if depth else np.broadcast_to(flat_index(shape), node.out_shape)
    return Affine({0: Select.of(shape, places.reshape(node.out_shape))}, roundings=0)


@rule("UnfoldTensor", domain=MS)
def unfold(node: NodeAtX) -> Affine:
    """Windows along an axis, on a new last axis."""
    shape, size, step = node.shape(0), node.attr("size"), node.attr("step")
    axis = node.attr("dim") % len(shape)
    windows = np.lib.stride_tricks.sliding_window_view(flat_index(shape), size, axis)
    places = windows[(slice(None),) * axis + (slice(None, None, step),)]
    return Affine({0: Select.of(shape, places)}, roundings=0)


@rule("Unique", domain=MS)
def unique(node: NodeAtX) -> list[Affine]:
    """Each value where it stands first in the input."""
    x, y = node.native(0), node.result(0)
    _, first = np.unique(x, return_index=True)
    order = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    places = first[order].astype(np.int64).reshape(y.shape)
    at = flat_index(x.shape)
    guards = lambda: telling_apart(x, x.reshape(-1, 1), at)
    return [Affine({0: Select.of(x.shape, places)}, roundings=0, guards=guards)]


@drawn("Pad", domain=MS)
def pad(node: NodeAtX, s: Sketch) -> str:
    """Pad with a constant, an edge or a mirror; the pads may stand in a row of their own."""
    pads = s.constant(node.native(1).reshape(-1).astype(np.int64))
    value = [s.reshape(s.input(2))] if node.has(2) else []
    return s("Pad", s.input(0), pads, *value, mode=node.attr("mode"))
