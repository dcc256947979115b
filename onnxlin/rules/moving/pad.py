"""Pad in every mode, and crop where pads are negative."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Along, Crop, LinearMap, Select, Shape, adjoint, chain, identity
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import normalised
from onnxlin.rules.registry import rule

FILLS = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@rule("Pad", constant=(1, 3))
def pad(node: NodeAtX) -> Affine:
    """Add entries before and after axes; negative pads crop.

    The constant is an operand like any other: it enters linearly where the data does not.
    Source: ONNX operator specification, Pad.
    """
    begin, end = _pads(node)
    mode = node.attr("mode")
    if mode != "constant":
        return Affine({0: _repeated(node, begin, end, mode)}, roundings=0)
    inner, embed = _embedded(node.shape(0), node.out_shape, begin, end)
    terms: dict[int, LinearMap] = {0: embed}
    if node.traced(2) or (node.has(2) and node.value(2).any()):
        outside = np.zeros(node.out_shape, dtype=np.int64)
        outside[inner] = -1
        terms[2] = Select.of(node.shape(2), outside)
    return Affine(terms, roundings=0)


def _pads(node: NodeAtX) -> tuple[Shape, Shape]:
    """Pads before and after every axis of the input."""
    rank = len(node.shape(0))
    axes = normalised(node.constant(3), rank) if node.has(3) else tuple(range(rank))
    begin, end = np.zeros((2, rank), dtype=np.int64)
    begin[list(axes)], end[list(axes)] = node.constant(1).reshape(2, len(axes))
    return tuple(begin.tolist()), tuple(end.tolist())


def _embedded(
    shape: Shape, out_shape: Shape, begin: Shape, end: Shape
) -> tuple[tuple[slice, ...], LinearMap]:
    """Crop, then set between zeros; also return where in the output the input lies."""
    first = tuple(max(-b, 0) for b in begin)
    ends = zip(shape, first, end, strict=True)
    kept = tuple(max(n - a - max(-e, 0), 0) for n, a, e in ends)
    at, ones = tuple(max(b, 0) for b in begin), (1,) * len(shape)
    place = adjoint(Crop(out_shape, kept, at, ones))
    inner = tuple(slice(a, a + n) for a, n in zip(at, kept, strict=True))
    return inner, place if kept == shape else chain(Crop(shape, kept, first, ones), place)


def _repeated(node: NodeAtX, begin: Shape, end: Shape, mode: str) -> LinearMap:
    """Read each padded axis where its new entries are copied from."""
    if mode not in FILLS:
        raise node.refuse(f"mode is {mode!r}")
    steps: list[LinearMap] = [identity(node.shape(0))]
    for axis, (b, e) in enumerate(zip(begin, end, strict=True)):
        if b or e:
            shape = steps[-1].out_shape
            kept = np.arange(shape[axis])[max(-b, 0) : shape[axis] - max(-e, 0)]
            index = np.pad(kept, (max(b, 0), max(e, 0)), mode=FILLS[mode])  # type: ignore[call-overload]
            steps.append(Along.take(shape, axis, index))
    return chain(*steps[1:]) if len(steps) > 1 else steps[0]
