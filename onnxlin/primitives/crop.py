"""Cut a strided box out of an array; the adjoint puts it back between zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Stack, padded, taken
from onnxlin.lowering.blocked import channels_of
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index


@final
@dataclass(frozen=True, eq=False)
class Crop(LinearMap):
    """``y = x[start::step, ...]``, ``out_shape[i]`` entries along axis ``i``.

    Parameters
    ----------
    start : tuple of int
        First entry taken along each axis, not negative.
    step : tuple of int
        Not zero; negative steps walk backwards.
    """

    start: Shape
    step: tuple[int, ...]

    @classmethod
    def along(cls, shape: Shape, axis: int, start: int, size: int) -> Crop:
        """Take ``size`` entries from ``start`` on along one axis, all of the others."""
        out = (*shape[:axis], size, *shape[axis + 1 :])
        starts = tuple(start if i == axis else 0 for i in range(len(shape)))
        return cls(shape, out, starts, (1,) * len(shape))

    def __post_init__(self) -> None:
        for n, m, a, s in zip(self.in_shape, self.out_shape, self.start, self.step, strict=True):
            if m and not (0 <= a < n and 0 <= a + (m - 1) * s < n):
                raise ValueError(f"{m} entries from {a} by {s} do not fit an axis of {n}")

    @property
    def _window(self) -> tuple[slice, ...]:
        window = []
        for m, a, s in zip(self.out_shape, self.start, self.step, strict=True):
            stop = a + m * s
            # A backward slice that reaches entry 0 has no integer for its end.
            window.append(slice(a, None if stop < 0 else stop, s) if m else slice(0, 0))
        return tuple(window)

    def matvec(self, x: Array) -> Array:
        """``(K, *in_shape) -> (K, *out_shape)``."""
        return x[(slice(None), *self._window)]

    def rmatvec(self, y: Array) -> Array:
        """``(K, *out_shape) -> (K, *in_shape)``."""
        x = np.zeros((len(y), *self.in_shape), dtype=y.dtype)
        x[(slice(None), *self._window)] = y
        return x

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """One entry a row."""
        column = flat_index(self.in_shape)[self._window].ravel()
        return entries(self, np.arange(self.rows), column, np.ones(1), dtype)

    def lower(self, x: Stack) -> Stack:
        """Slice."""
        graph = x.emitter
        name, first = x.spread
        axes = self._cut
        if [i + first for i in axes] == [1] and self.step[axes[0]] == 1:
            start, size = self.start[axes[0]], self.out_shape[axes[0]]
            part = channels_of(graph, name, start, start + size)
            if part is not None:
                return x.as_spread(part, self.out_shape, first)
        if axes:
            name = graph("Slice", name, *map(graph.ints, self._bounds(axes, first)))
        return x.as_spread(name, self.out_shape, first)

    def _bounds(self, axes: list[int], first: int) -> tuple[list[int], ...]:
        """Starts, ends, axes and steps of a Slice."""
        ends = [self.start[i] + self.out_shape[i] * self.step[i] for i in axes]
        # A backward slice that reaches entry 0 ends before any position.
        ends = [e if e >= 0 else -self.in_shape[i] - 1 for i, e in zip(axes, ends, strict=True)]
        return (
            [self.start[i] for i in axes], ends, [i + first for i in axes],
            [self.step[i] for i in axes],
        )  # fmt: skip

    def lower_adjoint(self, y: Stack) -> Stack:
        """Pad; with steps, set between zeros one axis after the other."""
        for axis in self._cut:
            n, m, a, s = (v[axis] for v in (self.in_shape, self.out_shape, self.start, self.step))
            index = np.full(n, -1, dtype=np.int64)
            index[a + s * np.arange(m)] = np.arange(m)
            y = padded(y, axis, a, n - a - m) if s == 1 else taken(y, axis, index)
        return y

    @property
    def _cut(self) -> list[int]:
        """Axes that are not taken as they are."""
        sizes = zip(self.in_shape, self.out_shape, self.step, strict=True)
        return [i for i, (n, m, s) in enumerate(sizes) if n != m or (s != 1 and n > 1)]

    def absolute(self) -> Crop:
        """Itself."""
        return self

    @property
    def fan_in(self) -> int:
        """One."""
        return 1

    @property
    def fan_out(self) -> int:
        """One."""
        return 1
