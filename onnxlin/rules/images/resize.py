"""Resize: a matrix of interpolation weights along each axis that changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import scipy.sparse as sp

from onnxlin.primitives import Along, Array, LinearMap, chain, identity
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.axes import normalised
from onnxlin.rules.images.interpolation import (
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
    node.ignore("antialias", "extrapolation_value")  # nearest asks for neither
    axes = _axes(node)
    kernel, mode = _kernel(node, axes), _known(node, "coordinate_transformation_mode", COORDINATES)
    if node.out_shape == node.shape(0):  # the runtime copies it, whatever the scales
        return Affine({0: identity(node.out_shape)}, roundings=0)
    steps: list[LinearMap] = [identity(node.shape(0))]
    inside: list[Array] = []
    for i, axis in enumerate(axes):
        u = coordinates(axis, mode)
        cropped = mode == "tf_crop_and_resize"
        kept = (u >= 0) & (u <= np.float32(axis.size - 1)) | (not cropped)
        inside.append(kept.reshape(-1, *(1,) * (len(axes) - 1 - i)))
        if axis.scale != 1 or i in _rounded(node, axes):
            matrix = sp.csr_array(sp.diags_array(kept.astype(np.float64)) @ kernel(axis, u))
            steps.append(Along.of(steps[-1].out_shape, i, matrix))
    bias = _outside(node, axes, inside)
    # Weights are the runtime's; it may round each product of weights, and each sum.
    return Affine({0: chain(*(steps[1:] or steps))}, bias, roundings=2 + 3 * (len(steps) - 1))


def _rounded(node: NodeAtX, axes: list[Axis]) -> range:
    """Axes that the runtime interpolates even if they stay as they are.

    Its cubic weights at a pixel are 0, 1, 0, 0 up to rounding; exactly so for the usual
    coefficients, multiples of 1/4.
    """
    plain = node.attr("mode") != "cubic" or node.attr("antialias") or _channels_last(axes)
    exact = float(node.attr("cubic_coeff_a") * 4).is_integer()
    return range(0) if plain or exact else range(len(axes) - 2, len(axes))


def _axes(node: NodeAtX) -> list[Axis]:
    """Say how each axis of the input is resized."""
    shape, rank = node.shape(0), len(node.shape(0))
    given = node.attr("axes")
    axes = tuple(range(rank)) if not given else normalised(np.asarray(given), rank)
    scales = np.ones(rank, dtype=np.float32)
    scales[list(axes)] = _scales(node, axes)
    region = np.repeat(np.array([[0], [1]], dtype=np.float32), rank, axis=1)
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
    given = node.attr("axes")
    if policy != "stretch" and given is not None and any(axis < 0 for axis in given):
        # onnxruntime leaves such axes as they are.
        raise node.refuse(f"axes are negative and keep_aspect_ratio_policy is {policy!r}")
    chosen = one[policy]
    return ratio if chosen is None else np.full_like(ratio, chosen())


def _kernel(node: NodeAtX, axes: list[Axis]) -> Callable[[Axis, Array], sp.csr_array]:
    """Choose how to weigh the input pixels around the coordinates of an axis."""
    mode = _known(node, "mode", ("nearest", "linear", "cubic"))
    rounding = _known(node, "nearest_mode", NEAREST)
    a, exclude = node.attr("cubic_coeff_a"), bool(node.attr("exclude_outside"))
    if mode == "nearest":
        node.ignore("antialias")  # nothing is averaged
        return lambda axis, u: nearest(axis, u, rounding)
    # Cubic with the channels last runs on the code that can also antialias.
    if node.attr("antialias") or (mode == "cubic" and _channels_last(axes)):
        tent = None if mode == "linear" else a
        return lambda axis, u: antialiased(axis, u, tent, exclude_outside=exclude)
    if mode == "cubic":
        return lambda axis, u: cubic(axis, u, a, exclude_outside=exclude)
    return linear


def _channels_last(axes: list[Axis]) -> bool:
    """Whether the runtime takes it for images ``(N, H, W, C)``."""
    return len(axes) == 4 and axes[1].scale != 1


def _known(node: NodeAtX, name: str, values: object) -> str:
    """Return an attribute that must be one of some words."""
    value = node.attr(name)
    if value not in values:  # type: ignore[operator]
        raise node.refuse(f"{name} is {value!r}")
    return str(value)


def _outside(node: NodeAtX, axes: list[Axis], inside: list[Array]) -> Array | None:
    """Constant of the pixels that lie off the input along any axis."""
    value = node.attr("extrapolation_value")
    on = np.broadcast_to(reduce(np.logical_and, inside, np.ones((), dtype=bool)), node.out_shape)
    if on.all():
        return None
    antialias = bool(node.attr("antialias")) or node.attr("mode") == "cubic"
    if antialias and _channels_last(axes):
        # onnxruntime writes the value to where these pixels would be with the channels first.
        raise node.refuse("pixels outside of the input are extrapolated with the channels last")
    return node.cast(np.where(on, 0.0, value)) if value else None
