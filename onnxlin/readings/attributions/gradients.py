"""Attributions from the program itself: gradients, alone and averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.primitives import Shape
from onnxlin.readings.checks import allowed, chosen
from onnxlin.readings.question.question import Question
from onnxlin.section.options import number, whole

SAMPLES = 50
NOISE = 0.15
AT_ONCE = 2**24  # features of noisy inputs that are held at once


@dataclass(frozen=True)
class Sum:
    """What the values of an attribution must add up to.

    Parameters
    ----------
    what : str
        Such as "F(x) - F(x0)".
    expected, found : float
    bound : float
        What rounding allows between the two.
    """

    what: str
    expected: float
    found: float
    bound: float

    @property
    def gap(self) -> float:
        """``expected - found``."""
        return self.expected - self.found

    @property
    def holds(self) -> bool:
        """Whether rounding explains the gap."""
        return abs(self.gap) <= self.bound


@dataclass(frozen=True, eq=False)
class Attribution:
    """One signed number for each input feature.

    Parameters
    ----------
    method : str
    values : array (n_in,)
        Float64, in the order of the columns of W.
    row : str
        Name of the output that they explain.
    shapes : {input name: shape}
    parameters : mapping
        What the method was asked: baseline, samples, seed.
    sums : Sum or None
        What they must add up to; None where the method promises no sum.
    slopes : bool
        Whether the values are per unit of the input, as a gradient is: times ``x - x0`` they are
        contributions.
    """

    method: str
    values: Array
    row: str
    shapes: Mapping[str, Shape]
    parameters: Mapping[str, Any]
    sums: Sum | None = None
    slopes: bool = False

    @property
    def complete(self) -> bool:
        """Whether the values add up to what the method promises, within rounding."""
        return self.sums is not None and self.sums.holds

    @property
    def by_input(self) -> dict[str, Array]:
        """The values in the shape of each input."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])[:-1]
        parts = zip(self.shapes.items(), np.split(self.values, ends), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}


@dataclass(frozen=True, eq=False)
class SmoothGradient(Attribution):
    """A mean of gradients at noisy inputs.

    Parameters
    ----------
    error : array (n_in,)
        Standard error of the mean, for every value.
    """

    error: Array = field(default_factory=lambda: np.zeros(0))


def gradient(q: Question) -> Attribution:
    """W, the gradient of the row at x: ``(n_in,)``.

    In frozen mode it is the row of the frozen map. Source: Simonyan, Vedaldi, Zisserman, Deep
    Inside Convolutional Networks, arXiv 1312.6034 (2013), without the absolute value.
    """
    values = q.m.W[0].astype(np.float64)
    return Attribution("gradient", values, q.name, q.m.shapes[0], {}, slopes=True)


def gradient_times_input(q: Question) -> Attribution:
    """``W x``, feature by feature: with b it sums to F(x), on every model.

    Source: Shrikumar et al., Not Just a Black Box, arXiv 1605.01713 (2016).
    """
    values = q.m.W[0].astype(np.float64) * q.x
    total = Sum(
        "F(x) - b",
        q.y - float(q.m.b[0]),
        float(values.sum()),
        float(allowed(q.m, chosen(q.m, None))[0]),
    )
    return Attribution("gradient x input", values, q.name, q.m.shapes[0], {}, total)


def smooth_grad(
    q: Question,
    *,
    samples: int = SAMPLES,
    noise: float = NOISE,
    sigma: float | None = None,
    seed: int = 0,
) -> SmoothGradient:
    """Average the gradient over inputs with Gaussian noise.

    Parameters
    ----------
    q : Question
    samples : int
        At least 2, for the standard error.
    noise : float
        Standard deviation of the noise, relative to the range ``max x - min x``.
    sigma : float, optional
        The standard deviation itself, in place of ``noise``.
    seed : int

    Returns
    -------
    SmoothGradient
        It promises no sum. ``error`` says how far the mean over so few samples may be off.

    Source: Smilkov, Thorat, Kim, Viégas, Wattenberg, SmoothGrad, arXiv 1706.03825 (2017).
    """
    whole("samples", samples, 2)
    spread = _spread(q, number("noise", noise)) if sigma is None else number("sigma", sigma)
    _require_noise(q, spread)
    rng, size = np.random.default_rng(whole("seed", seed)), len(q.x)
    total, squares = np.zeros((2, size))
    for count in _parts(samples, max(AT_ONCE // max(size, 1), 1)):
        # About the gradient at x, so that squares of large numbers do not cancel.
        found = q.gradients(q.x + spread * rng.standard_normal((count, size))) - q.m.W[0]
        total += found.sum(axis=0)
        squares += (found**2).sum(axis=0)
    mean = total / samples
    variance = np.maximum(squares / samples - mean**2, 0.0) * samples / (samples - 1)
    asked = {"samples": samples, "sigma": spread, "seed": seed}
    return SmoothGradient(
        "SmoothGrad",
        q.m.W[0] + mean,
        q.name,
        q.m.shapes[0],
        asked,
        slopes=True,
        error=np.sqrt(variance / samples),
    )


def _spread(q: Question, noise: float) -> float:
    return noise * float(np.ptp(q.x)) if q.x.size else 0.0


def _require_noise(q: Question, spread: float) -> None:
    if not (np.isfinite(spread) and spread > 0):
        low, high = q.x.min(initial=np.inf), q.x.max(initial=-np.inf)
        raise OptionError(
            f"The noise has the standard deviation {spread:g} (x goes from {low:g} to {high:g}); "
            "it must be positive. Give sigma=, in units of x."
        )


def _parts(whole: int, most: int) -> list[int]:
    """Cut a count into as few parts as possible."""
    return [min(most, whole - start) for start in range(0, whole, most)]
