"""Entries divided by their spread over some axes: the heart of every normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlin.primitives import Array, Broadcast, Diagonal, LinearMap, Shape, Sum, adjoint, chain
from onnxlin.rules.axes import kept_shape
from onnxlin.rules.smooth import ratio
from onnxlin.rules.softmax import centred


@dataclass(frozen=True, eq=False)
class Standardised:
    """``v = c / spread`` with ``c = z - mean`` (or z itself) and ``spread = sqrt(mean c c + eps)``.

    Parameters
    ----------
    shape : tuple of int
        Of z.
    axes : tuple of int
        Where the statistics are taken.
    value : array
        v, of ``shape``.
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
        """The derivative of v."""
        held = self.held()
        along = chain(held, *self._mean_with(-self.value), Diagonal.of(self.shape, self.value))
        return Sum.of(held, along)

    def inverse_jacobian(self) -> LinearMap:
        """The derivative of 1 / spread, axes kept."""
        weigh, add_up, _ = self._mean_with(-self.value)
        return chain(self.held(), weigh, add_up, Diagonal.of(self.inverse.shape, self.inverse))

    def _mean_with(self, weights: Array) -> tuple[LinearMap, ...]:
        """Mean over the axes of the entries times weights, repeated over the axes."""
        again = Broadcast(self.inverse.shape, self.shape)
        count = max(self.value.size // max(self.inverse.size, 1), 1)
        weights = weights * (self.stretch / count)
        return (Diagonal.of(self.shape, weights), adjoint(again), again)


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
    count = max(z.size // max(int(np.prod(kept)), 1), 1)
    mean = z.mean(axis=axes, keepdims=True) if centre else np.zeros(kept, z.dtype)
    c = z - mean
    variance = (c * c).mean(axis=axes, keepdims=True)
    root = np.sqrt(variance + (0 if outside else z.dtype.type(epsilon)))
    spread = root + (z.dtype.type(epsilon) if outside else 0)
    value = c / spread
    # An error of the mean square or of the squared mean, relative to the variance.
    lost = ((z * z).mean(axis=axes, keepdims=True) + mean * mean) / (spread * spread)
    size = np.abs(value) * (1 + lost) + (np.abs(z) + np.abs(mean)) / spread
    even = np.full(z.shape, 1 / count, z.dtype)
    centring = centred(even, axes, z.dtype) if centre else None
    stretch = ratio(spread, root, 0)
    return Standardised(z.shape, axes, value, mean, 1 / spread, size, stretch, centring)
