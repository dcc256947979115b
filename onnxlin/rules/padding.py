"""Windows of convolutions and pools: strides, dilations, pads, and what each window holds."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from onnxlin.primitives import Array, Shape
from onnxlin.rules.at_x import NodeAtX


def spatial_attr(node: NodeAtX, name: str, rank: int, default: int) -> Shape:
    """Return an attribute with one number a spatial axis; the specification's default if absent."""
    given = node.attr(name)
    return (default,) * rank if given is None else tuple(int(n) for n in given)


def strides_and_dilations(node: NodeAtX, rank: int) -> tuple[Shape, Shape]:
    """Return ``strides`` and ``dilations``, 1 along every axis where the file gives none."""
    return spatial_attr(node, "strides", rank, 1), spatial_attr(node, "dilations", rank, 1)


def resolve_pads(
    node: NodeAtX,
    spatial: Shape,
    kernel: Shape,
    strides: Shape,
    dilations: Shape,
    *,
    pooling: bool = False,
) -> tuple[Shape, Shape]:
    """Return the pads before and after each spatial axis, whatever form the node has them in.

    Parameters
    ----------
    spatial, kernel, strides, dilations : tuple of int, one a spatial axis
        ``spatial`` is the shape that is padded.
    pooling : bool
        Pad to the SAME shape as onnxruntime's pools do: for the kernel without its dilation, and
        by negative numbers where strides leave entries over.

    Source: ONNX operator specification, Conv and MaxPool, ``auto_pad`` and ``pads``.
    """
    rank = len(spatial)
    mode, pads = node.attr("auto_pad"), spatial_attr(node, "pads", 2 * rank, 0)
    if mode == "NOTSET":
        return pads[:rank], pads[rank:]
    if mode == "VALID":
        return (0,) * rank, (0,) * rank
    spread = (1,) * rank if pooling else dilations
    sizes = zip(spatial, kernel, strides, spread, strict=True)
    # As many windows as strides fit into the axis; what they overhang it is padded.
    total = tuple((-(-n // s) - 1) * s + (k - 1) * d + 1 - n for n, k, s, d in sizes)
    return split_pads(node, mode, total if pooling else tuple(max(n, 0) for n in total))


def split_pads(node: NodeAtX, mode: str, total: Shape) -> tuple[Shape, Shape]:
    """Share each axis' padding between both ends; an odd one goes after (UPPER) or before."""
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"auto_pad is {mode!r}")
    odd = 1 if mode == "SAME_LOWER" else 0
    # Towards zero, as the runtime halves negative pads.
    before = tuple(int((n + odd) / 2) for n in total)
    return before, tuple(n - b for n, b in zip(total, before, strict=True))


def positions(size: int, taps: int, stride: int, dilation: int, begin: int) -> Array:
    """Where each tap of each window lies on an axis: ``(size windows, taps)``; may be outside."""
    return np.arange(size)[:, None] * stride - begin + np.arange(taps) * dilation


def unfold(x: Array, axes: Sequence[Array], fill: float) -> Array:
    """Lay the entries of every window along a new last axis.

    Parameters
    ----------
    x : (N, C, *spatial)
    axes : one integer array (windows, taps) a spatial axis, as `positions` makes them
    fill : float
        Stands for taps outside of x.

    Returns
    -------
    (N, C, *windows, all taps)
    """
    for i, index in enumerate(axes):
        # The windows of this axis take its place; their taps pile up at the end.
        axis = 2 + i
        inside = (index >= 0) & (index < x.shape[axis])
        taken = np.moveaxis(np.take(x, np.where(inside, index, 0), axis=axis), axis + 1, -1)
        mask = inside.reshape(-1, *(1,) * (taken.ndim - axis - 2), inside.shape[1])
        x = np.where(mask, taken, np.asarray(fill, dtype=x.dtype))
    return x.reshape(*x.shape[: 2 + len(axes)], prod(x.shape[2 + len(axes) :]))
