"""FullGrad: the gradient of the input and of every bias, which together are F(x)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.engines.reverse import constant_shares
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.graph.picture import Geometry
from onnxlin.program.rates import gamma
from onnxlin.readings.attributions.gradients import Attribution, Sum
from onnxlin.readings.bias.ledger import BiasMap, bias_maps
from onnxlin.readings.checks import UNIT, allowed, chosen
from onnxlin.readings.question.question import Question
from onnxlin.section.options import one_of

OVER = ("channel", "layer")


@dataclass(frozen=True, eq=False)
class FullGradient(Attribution):
    """``values.sum() + sum of all bias maps + constant = F(x)``.

    Parameters
    ----------
    bias_maps : tuple of BiasMap
        What every unit of every node with a bias brings in.
    constant : float
        What outputs that no node makes bring in.
    geometry : Geometry or None
        Where the pixels lie, if x is a picture.
    """

    bias_maps: tuple[BiasMap, ...] = ()
    constant: float = 0.0
    geometry: Geometry | None = None

    def saliency(self, over: str = "channel") -> Array:
        """FullGrad's picture, ``(height, width)``: signs are lost, and the sum with them.

        ``sum over channels of psi(x * gradient) + sum over layers and channels of psi(bias map)``
        with psi: absolute value, rescaled to 0..1, upsampled bilinearly to the size of x. Layers
        without a height and a width, dense ones, are left out.

        Parameters
        ----------
        over : {"channel", "layer"}
            Over what the rescaling goes: each channel's map, as the paper writes it, or all
            channels of a layer, as its authors' program does.

        Raises
        ------
        OptionError
            x is no picture.
        """
        if self.geometry is None:
            raise OptionError("saliency() is for one picture; x has no known height and width.")
        one_of("over", over, OVER)
        size = self.geometry.height, self.geometry.width
        planes = [self.geometry.to_picture(self.values)]
        planes += [m.values[0, 0] for m in self.bias_maps if m.values.ndim == 5]
        spatial = [plane for plane in planes if min(plane.shape[-2:]) > 1]
        return sum((_psi(plane, size, over) for plane in spatial), np.zeros(size))


def full_gradient(q: Question) -> FullGradient:
    """Decompose F(x) into x times its gradient and the bias gradients of every node.

    Returns
    -------
    FullGradient
        Biases here are all that a map has: those of layers, of normalisations, and the implicit
        ones of nonlinear nodes. So the sum holds on every model, and is checked.

    Raises
    ------
    ResidualError

    Source: Srinivas, Fleuret, Full-Gradient Representation, NeurIPS 2019.
    """
    values = q.m.W[0].astype(np.float64) * q.x
    maps = tuple(bias_maps(q.m))
    program = q.m.made_from("full_gradient()").program
    shares = constant_shares(program, q.m.rows, slice(None))
    constant = float(sum(float(share[0]) for share in shares.values()))
    units = [m.values.ravel() for m in maps]
    terms = len(values) + sum(map(len, units))
    size = sum(float(np.abs(part).sum()) for part in (values, *units)) + abs(constant)
    total = float(values.sum()) + sum(float(m.total[0]) for m in maps) + constant
    bound = float(allowed(q.m, chosen(q.m, None))[0]) + gamma(terms + 1, UNIT) * size
    return FullGradient(
        "FullGrad",
        values,
        q.name,
        q.m.shapes[0],
        {},
        Sum("F(x), with the bias maps", q.y, total, bound),
        bias_maps=maps,
        constant=constant,
        geometry=q.geometry,
    )


def full_grad(q: Question) -> Attribution:
    """FullGrad's picture as one number a feature: that of a pixel is split over its channels.

    Raises
    ------
    OptionError
        x is no picture.
    """
    found = full_gradient(q)
    plane = found.saliency()[..., None]
    assert q.geometry is not None
    values = q.geometry.to_tensor(np.repeat(plane, q.geometry.channels, -1) / q.geometry.channels)
    return Attribution("FullGrad", values.ravel(), q.name, q.m.shapes[0], {"over": OVER[0]})


def _psi(maps: Array, size: tuple[int, int], over: str) -> Array:
    """Sum of psi over the channels: ``(channels, h, w) -> size``."""
    axes = (1, 2) if over == "channel" else None
    found = np.abs(maps)
    found = found - found.min(axis=axes, keepdims=True)
    top = found.max(axis=axes, keepdims=True)
    scaled = np.divide(found, top, out=np.zeros_like(found), where=top > 0)
    height, width = (_stretch(*pair) for pair in zip(scaled.shape[1:], size, strict=True))
    # Stretching is linear: the sum over the channels may go first.
    stretched: Array = height @ scaled.sum(axis=0) @ width.T
    return stretched


def _stretch(short: int, long: int) -> Array:
    """Weights of linear interpolation with the ends kept: ``(long, short)``."""
    at = np.linspace(0, short - 1, long)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(short)), 0.0)
