"""Operators that keep every entry and only move it: reshapes, transposes, depth and space."""

from __future__ import annotations

from onnxlin.primitives import LinearMap, Reshape, Shape, Transpose, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.registry import rule


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(node: NodeAtX) -> Affine:
    """The same entries under another shape, which the run has found already."""
    node.ignore("allowzero", "axis")
    return Affine({0: Reshape(node.shape(0), node.out_shape)}, roundings=0)


@rule("Transpose")
def transpose(node: NodeAtX) -> Affine:
    """Permute the axes; reverse them where no order is given."""
    shape, perm = node.shape(0), node.attr("perm")
    order = reversed(range(len(shape))) if perm is None else (int(p) for p in perm)
    return Affine({0: Transpose.of(shape, tuple(order))}, roundings=0)


@rule("DepthToSpace")
def depth_to_space(node: NodeAtX) -> Affine:
    """Lay channels out as blocks of pixels: ``(N, C, H, W) -> (N, C / b^2, H b, W b)``."""
    n, c, h, w = node.shape(0)
    b = node.attr("blocksize")
    if _depth_first(node):
        return _repacked(node, (n, b, b, c // b**2, h, w), (0, 3, 4, 1, 5, 2))
    return _repacked(node, (n, c // b**2, b, b, h, w), (0, 1, 4, 2, 5, 3))


@rule("SpaceToDepth")
def space_to_depth(node: NodeAtX) -> Affine:
    """Lay blocks of pixels out as channels: ``(N, C, H, W) -> (N, C b^2, H / b, W / b)``."""
    n, c, h, w = node.shape(0)
    b = node.attr("blocksize")
    perm = (0, 3, 5, 1, 2, 4) if _depth_first(node) else (0, 1, 3, 5, 2, 4)
    return _repacked(node, (n, c, h // b, b, w // b, b), perm)


def _depth_first(node: NodeAtX) -> bool:
    """Whether channels are ordered depth-column-row (DCR), not column-row-depth (CRD)."""
    mode = node.attr("mode")
    if mode not in ("DCR", "CRD", None):
        raise node.refuse(f"mode is {mode!r}")
    return mode != "CRD"


def _repacked(node: NodeAtX, apart: Shape, perm: Shape) -> Affine:
    """Take the axes apart, permute them, and put them together as the output's."""
    maps: list[LinearMap] = [Reshape(node.shape(0), apart), Transpose.of(apart, perm)]
    maps.append(Reshape(maps[-1].out_shape, node.out_shape))
    return Affine({0: chain(*maps)}, roundings=0)
