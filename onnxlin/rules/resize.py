"""Resize: a matrix of interpolation weights along each axis that changes."""

from __future__ import annotations

from functools import reduce

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Along, Array, LinearMap, chain, identity
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import normalised
from onnxlin.rules.interpolation import (
    COORDINATES,
    NEAREST,
    Axis,
    antialiased,
    coordinates,
    cubic,
    linear,
    nearest,
)
from onnxlin.rules.registry import rule


@rule("Resize", constant=(1, 2, 3))
def resize(node: NodeAtX) -> Affine:
    """Interpolate along one axis after the other.

    ``x : shape -> y : out_shape``, any rank; no bias but for pixels that ``tf_crop_and_resize``
    takes from outside of x. Source: ONNX operator specification, Resize.
    """
    steps: list[LinearMap] = [identity(node.shape(0))]
    inside: list[Array] = []
    for i, axis in enumerate(_axes(node)):
        matrix, kept = _weights(node, axis)
        inside.append(kept.reshape(-1, *(1,) * (len(node.out_shape) - 1 - i)))
        if axis.scale != 1:
            steps.append(Along.of(steps[-1].out_shape, i, matrix))
    term = chain(*(steps[1:] or steps))
    # Weights come as the runtime has them; it may round each product of weights, and each sum.
    return Affine({0: term}, _extrapolated(node, inside), roundings=2 + 3 * (len(steps) - 1))


def _axes(node: NodeAtX) -> list[Axis]:
    """Say how each axis of the input is resized."""
    shape, rank = node.shape(0), len(node.shape(0))
    given = node.attr("axes")
    axes = tuple(range(rank)) if given is None else normalised(np.asarray(given), rank)
    scales = np.ones(rank, dtype=np.float32)
    scales[list(axes)] = _scales(node, axes)
    region = np.repeat(np.float32([[0], [1]]), rank, axis=1)
    if node.attr("coordinate_transformation_mode") == "tf_crop_and_resize":
        region[:, list(axes)] = node.constant(1).reshape(2, len(axes))
    columns = zip(shape, node.out_shape, scales, *region, strict=True)
    return [Axis(*column) for column in columns]


def _scales(node: NodeAtX, axes: tuple[int, ...]) -> Array:
    """Scales of the axes that may change, float32: as given, or out of the sizes wanted."""
    policy = node.attr("keep_aspect_ratio_policy")
    if node.has(2) and node.constant(2).size:
        return node.constant(2).astype(np.float32)
    wanted = node.constant(3).astype(np.float32)
    sizes = np.array([node.shape(0)[axis] for axis in axes], dtype=np.float32)
    ratio = np.where(sizes > 0, wanted / np.maximum(sizes, 1), np.float32(1))
    one = {"stretch": None, "not_larger": ratio.min, "not_smaller": ratio.max}
    if policy not in one:
        raise node.refuse(f"keep_aspect_ratio_policy is {policy!r}")
    chosen = one[policy]
    return ratio if chosen is None else np.full_like(ratio, chosen())


def _weights(node: NodeAtX, axis: Axis) -> tuple[sp.csr_array, Array]:
    """Weights along one axis, and which of its output pixels lie on the input at all."""
    mode = _known(node, "coordinate_transformation_mode", COORDINATES)
    u = coordinates(axis, mode)
    kept = np.ones(len(u), dtype=bool)
    if mode == "tf_crop_and_resize":
        kept = (u >= 0) & (u <= np.float32(axis.size - 1))
    matrix = _kernel(node, axis, u)
    return sp.csr_array(sp.diags_array(kept.astype(np.float64)) @ matrix), kept


def _kernel(node: NodeAtX, axis: Axis, u: Array) -> sp.csr_array:
    """Weights of the input pixels around each coordinate."""
    mode = _known(node, "mode", ("nearest", "linear", "cubic"))
    rounding = _known(node, "nearest_mode", NEAREST)
    a, exclude = node.attr("cubic_coeff_a"), bool(node.attr("exclude_outside"))
    if mode == "nearest":
        return Along.take((axis.size,), 0, nearest(axis, u, rounding)).matrix
    if node.attr("antialias"):
        if axis.size == axis.out_size:  # the runtime copies it, whatever the scale
            return sp.eye_array(axis.size, format="csr")
        return antialiased(axis, u, a if mode == "cubic" else None, exclude_outside=exclude)
    return cubic(axis, u, a, exclude_outside=exclude) if mode == "cubic" else linear(axis, u)


def _known(node: NodeAtX, name: str, values: object) -> str:
    """Return an attribute that must be one of some words."""
    value = node.attr(name)
    if value not in values:  # type: ignore[operator]
        raise node.refuse(f"{name} is {value!r}")
    return str(value)


def _extrapolated(node: NodeAtX, inside: list[Array]) -> Array | None:
    """Constant of the pixels that lie off the input along any axis."""
    value = node.attr("extrapolation_value")
    on = reduce(np.logical_and, inside, np.ones((), dtype=bool))
    if on.all() or not value:
        return None
    return node.cast(np.where(np.broadcast_to(on, node.out_shape), 0.0, value))
