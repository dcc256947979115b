"""Convolutions and their transposes, with every form of padding."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from onnxlin.primitives import (
    Array,
    Broadcast,
    Conv,
    Crop,
    LinearMap,
    MatMul,
    Reshape,
    Shape,
    adjoint,
    chain,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bilinear import product_rule
from onnxlin.rules.padding import resolve_pads, spatial_attr, split_pads, strides_and_dilations
from onnxlin.rules.registry import one_of_two, rule


def with_bias(node: NodeAtX, term: LinearMap) -> Affine:
    """Add the optional operand 2, one number a channel."""
    terms = {0: term}
    if node.has(2):
        column = (node.out_shape[1], *(1,) * (len(node.out_shape) - 2))
        terms[2] = chain(Reshape(node.shape(2), column), Broadcast(column, node.out_shape))
    return Affine(terms)


@rule("Conv", status="smooth", exact_if=one_of_two)
def conv(node: NodeAtX) -> Affine:
    """Cross-correlate with a kernel; exact where one of the two is constant.

    ``x : (N, C, *spatial) -> y : (N, M, *out_spatial)``. Source: ONNX operator specification, Conv.
    """
    node.ignore("kernel_shape")  # the weight has it
    weight = node.value(1)
    kernel, spatial = weight.shape[2:], node.shape(0)[2:]
    strides, dilations = strides_and_dilations(node, len(kernel))
    begin, end = resolve_pads(node, spatial, kernel, strides, dilations)
    term = Conv.of(
        node.shape(0),
        weight,
        strides=strides,
        dilations=dilations,
        begin=begin,
        end=end,
        group=node.attr("group"),
    )
    if not node.traced(1):
        return with_bias(node, term)
    found = product_rule(node, (0, lambda: term), (1, lambda: _of_weight(term, node.value(0))))
    shift = {i: op for i, op in with_bias(node, term).terms.items() if i == 2}
    return replace(found, terms={**found.terms, **shift})


def _of_weight(conv: Conv, x: Array) -> LinearMap:
    """The same convolution as a map of its kernel: a product with the windows of x."""
    (m, c, *kernel), group = conv.weight.shape, conv.group
    n, points = conv.out_shape[0], prod(conv.out_shape[2:])
    rows = (group, m // group, c * prod(kernel))
    windows = conv.unfold(x).reshape(n, group, rows[2], points)
    times = MatMul.of(rows, windows)
    before = Reshape(conv.weight.shape, rows)
    return chain(before, times, Reshape(times.out_shape, conv.out_shape))


@rule("ConvTranspose", constant=(1,))
def conv_transpose(node: NodeAtX) -> Affine:
    """Spread every input entry over a window: the adjoint of a convolution, cut to size.

    ``x : (N, C, *spatial) -> y : (N, M, *out_spatial)``. Uncut, the windows cover
    ``(spatial - 1) * stride + (kernel - 1) * dilation + 1`` entries of an axis; ``y`` starts at
    the pad before, and where it is longer it ends with zeros.

    Source: ONNX operator specification, ConvTranspose.
    """
    node.ignore("kernel_shape")  # the weight has it
    weight = node.constant(1)
    (n, _, *spatial), kernel = node.shape(0), weight.shape[2:]
    strides, dilations = strides_and_dilations(node, len(kernel))
    sizes = zip(spatial, strides, kernel, dilations, strict=True)
    covered = tuple((m - 1) * s + (k - 1) * d + 1 for m, s, k, d in sizes)
    begin = _cut_before(node, covered)
    reach = zip(covered, begin, node.out_shape[2:], strict=True)
    inner = (n, node.out_shape[1], *(min(c - b, o) for c, b, o in reach))
    spread = Conv.of(
        inner,
        weight,
        strides=strides,
        dilations=dilations,
        begin=begin,
        end=tuple(c - b - o for c, b, o in zip(covered, begin, inner[2:], strict=True)),
        group=node.attr("group"),
    )
    return with_bias(node, _lengthened(adjoint(spread), node.out_shape))


def _cut_before(node: NodeAtX, covered: Shape) -> Shape:
    """Entries to drop before each axis: the pads given, or those that lead to the output shape."""
    rank = len(covered)
    mode, pads = node.attr("auto_pad"), spatial_attr(node, "pads", 2 * rank, 0)
    extra = spatial_attr(node, "output_padding", rank, 0)
    if node.attr("output_shape") is None and mode in ("NOTSET", "VALID"):
        return pads[:rank] if mode == "NOTSET" else (0,) * rank
    sizes = zip(covered, extra, node.out_shape[2:], strict=True)
    total = tuple(max(c + e - o, 0) for c, e, o in sizes)
    # Without a mode the specification puts the odd one before, as SAME_LOWER does.
    return split_pads(node, mode if mode == "SAME_UPPER" else "SAME_LOWER", total)[0]


def _lengthened(term: LinearMap, shape: Shape) -> LinearMap:
    """Add zeros after each axis until the output has this shape."""
    if term.out_shape == shape:
        return term
    rank = len(shape)
    return chain(term, adjoint(Crop(shape, term.out_shape, (0,) * rank, (1,) * rank)))
