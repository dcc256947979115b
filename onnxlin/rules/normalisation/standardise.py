"""Entries divided by their spread over some axes: the heart of every normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.primitives import (
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    Shape,
    Sum,
    adjoint,
    chain,
    identity,
)
from onnxlin.rules.axes import kept_shape
from onnxlin.rules.reductions.softmax import evenly_centred
from onnxlin.rules.smooth import ratio


@dataclass(frozen=True, eq=False)
class Standardised:
    """``v = c / spread`` with ``c = z - mean`` (or z itself) and ``spread = sqrt(mean c c + eps)``.

    Parameters
    ----------
    shape : tuple of int
        Of z.
    axes : tuple of int
        Where the statistics are taken.
    point, value : array
        z and v, of ``shape``.
    mean, inverse : array
        The mean (0 without centring) and 1 / spread, with the axes kept at length 1.
    size : array
        Size that the errors of a runtime in v are relative to. One that takes the variance as
        ``mean z z - mean mean`` loses what cancels there.
    stretch : array
        Spread over the root whose derivative it has: 1 where epsilon lies inside of the root.
    centring : LinearMap or None
        ``z -> c``.
    """

    shape: Shape
    axes: Shape
    point: Array
    value: Array
    mean: Array
    inverse: Array
    size: Array
    stretch: Array
    centring: LinearMap | None

    def held(self) -> LinearMap:
        """The map with the spread held: centre, then divide."""
        over = Diagonal.of(self.shape, self.inverse)
        return over if self.centring is None else chain(self.centring, over)

    def jacobian(self) -> LinearMap:
        """The derivative of v: ``(c' - v mean(v c')) / spread``, where mean(v c') is mean(v z').

        Entries that are centred average to 0, so the mean of z takes nothing from mean(v c').
        """
        minus = Diagonal.of(self.inverse.shape, np.asarray(-1, self.value.dtype))
        along = chain(*self._mean_with_v(), minus, self._again, Diagonal.of(self.shape, self.value))
        centre = identity(self.shape) if self.centring is None else self.centring
        return chain(Sum.of(centre, along), Diagonal.of(self.shape, self.inverse))

    def offset(self) -> Array:
        """What the tangent leaves at x: v minus its derivative applied to z.

        Of ``v - (c - v s mean(v z)) / spread``, s the stretch, the first two terms are the same.
        """
        along = (self.value * self.point).mean(axis=self.axes, keepdims=True)
        return self.value * (along * self.stretch * self.inverse)

    def inverse_jacobian(self) -> LinearMap:
        """The derivative of 1 / spread, axes kept."""
        squared = Diagonal.of(self.inverse.shape, -self.inverse * self.inverse)
        return chain(*self._mean_with_v(), squared)

    @property
    def _again(self) -> Broadcast:
        """Repeat over the axes."""
        return Broadcast(self.inverse.shape, self.shape)

    def _mean_with_v(self) -> tuple[LinearMap, ...]:
        """Mean over the axes of the entries times v, over the root's own derivative."""
        count = max(self.value.size // max(self.inverse.size, 1), 1)
        weights = Diagonal.of(self.inverse.shape, self.stretch / count)
        return Diagonal.of(self.shape, self.value), adjoint(self._again), weights


def standardise(
    z: Array, axes: Shape, epsilon: float, *, centre: bool = True, outside: bool = False
) -> Standardised:
    """Divide by the spread over axes.

    Parameters
    ----------
    epsilon : float
        Added to the variance; with ``outside`` to its root.
    """
    kept = kept_shape(z.shape, axes)
    mean = z.mean(axis=axes, keepdims=True) if centre else np.zeros(kept, z.dtype)
    c = z - mean
    variance = (c * c).mean(axis=axes, keepdims=True)
    root = np.sqrt(variance + (0 if outside else z.dtype.type(epsilon)))
    spread = root + (z.dtype.type(epsilon) if outside else 0)
    value = c / spread
    # An error of the mean square or of the squared mean, relative to the variance.
    lost = ((z * z).mean(axis=axes, keepdims=True) + mean * mean) / (spread * spread)
    size = np.abs(value) * (1 + lost) + (np.abs(z) + np.abs(mean)) / spread
    centring = evenly_centred(z.shape, axes, z.dtype) if centre else None
    stretch = ratio(spread, root, 0)
    return Standardised(z.shape, axes, z, value, mean, 1 / spread, size, stretch, centring)
