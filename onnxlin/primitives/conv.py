"""Convolution by a constant, as matrix products over unfolded windows.

Li et al., arXiv 2310.16295, section 3: a convolution is a sparse matrix; here only `to_sparse`
ever forms it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin.lowering import Emitter, Stack, is_traced, tensor
from onnxlin.primitives.at_once import spread
from onnxlin.primitives.linear_map import Array, LinearMap, Shape, entries, flat_index

# Unfolded windows are made for a few samples at a time, so that they stay in the cache between
# the product and the scatter. Measured on 3x3 kernels: 1.3 times faster than all at once.
BLOCK_BYTES = 4 * 2**20

# On the side of the input, from which on the convolution kernels of runtimes are at their best.
FEW_CHANNELS = 8

# Of an output's channel, up to which a kernel is larger than what it is multiplied with.
FEW_POINTS = 64

Index = tuple[slice | int, ...]
SAMPLES_CHANNELS: Index = (slice(None), slice(None))
"""The index that takes all of the first two axes."""


@final
@dataclass(frozen=True, eq=False)
class Conv(LinearMap):
    """Cross-correlation of ``(N, C, *spatial)`` with a constant kernel, in any number of dims.

    Parameters
    ----------
    in_shape : (N, C, *spatial)
    out_shape : (N, M, *out_spatial); use `Conv.of`.
    weight : array, shape (M, C / group, *kernel)
    strides, dilations, begin, end : tuple of int, one a spatial axis
        ``begin`` and ``end`` are the zeros added before and after.
    group : int
    """

    weight: Array
    strides: Shape
    dilations: Shape
    begin: Shape
    end: Shape
    group: int

    @classmethod
    def of(
        cls,
        shape: Shape,
        weight: Array,
        *,
        strides: Shape,
        dilations: Shape,
        begin: Shape,
        end: Shape,
        group: int = 1,
    ) -> Conv:
        """Convolve arrays of ``shape`` with ``weight``."""
        sizes = zip(shape[2:], begin, end, weight.shape[2:], dilations, strides, strict=True)
        spatial = tuple((n + b + e - (k - 1) * d - 1) // s + 1 for n, b, e, k, d, s in sizes)
        out = (shape[0], weight.shape[0], *spatial)
        return cls(shape, out, weight, strides, dilations, begin, end, group)

    def __post_init__(self) -> None:
        if self.in_shape[1] != self.weight.shape[1] * self.group:
            raise ValueError(f"{self.in_shape[1]} channels do not fit weight {self.weight.shape}")

    @property
    def _kernel(self) -> Shape:
        return self.weight.shape[2:]

    @property
    def _matrix(self) -> Array:
        """The kernel as one matrix a group: ``(group, M / group, C / group * taps)``."""
        m, c = self.weight.shape[:2]
        return self.weight.reshape(self.group, m // self.group, c * prod(self._kernel))

    def _windows(self) -> Iterator[tuple[Shape, Index]]:
        """For each tap of the kernel, the strided box of the padded input that it reads."""
        steps = list(zip(self.out_shape[2:], self.strides, self.dilations, strict=True))
        for tap in np.ndindex(*self._kernel):
            box = (slice(t * d, t * d + m * s, s) for t, (m, s, d) in zip(tap, steps, strict=True))
            yield tap, (*SAMPLES_CHANNELS, *box)

    def _padded_shape(self) -> Shape:
        """Spatial shape with its zeros, and large enough for the last window's last tap."""
        sizes = zip(self.in_shape[2:], self.begin, self.end, strict=True)
        return tuple(n + b + e for n, b, e in sizes)

    def _inside(self) -> Index:
        box = (slice(b, b + n) for b, n in zip(self.begin, self.in_shape[2:], strict=True))
        return (*SAMPLES_CHANNELS, *box)

    @property
    def _pointwise(self) -> bool:
        """Whether windows are single entries, in order: then there is nothing to unfold."""
        plain = self.strides + self._kernel == (1,) * (2 * len(self._kernel))
        return plain and not any(self.begin + self.end)

    def _blocks(self, samples: int, itemsize: int) -> Iterator[slice]:
        size = max(BLOCK_BYTES // max(self.workspace * itemsize, 1), 1)
        return (slice(i, i + size) for i in range(0, samples, size))

    def matvec(self, x: Array) -> Array:
        """``(K, N, C, *spatial) -> (K, N, M, *out_spatial)``."""
        flat = x.reshape(len(x) * self.in_shape[0], *self.in_shape[1:])
        y = np.empty((len(flat), *self.out_shape[1:]), np.result_type(x, self.weight))
        for block in self._blocks(len(flat), y.itemsize):
            y[block] = self._forward(flat[block])
        return y.reshape(len(x), *self.out_shape)

    def _forward(self, x: Array) -> Array:
        taps = self.unfold(x)
        columns = taps.reshape(len(x), self.group, self._matrix.shape[2], prod(self.out_shape[2:]))
        return (self._matrix @ columns).reshape(len(x), *self.out_shape[1:])

    def unfold(self, x: Array) -> Array:
        """Lay out what each window reads: ``(S, C, *spatial) -> (S, C, *kernel, *out_spatial)``."""
        if self._pointwise:
            return x
        padded = np.zeros((*x.shape[:2], *self._padded_shape()), dtype=x.dtype)
        padded[self._inside()] = x
        shape = (*x.shape[:2], *self._kernel, *self.out_shape[2:])
        taps = np.empty(shape, dtype=x.dtype)
        for tap, window in self._windows():
            taps[(*SAMPLES_CHANNELS, *tap)] = padded[window]
        return taps

    def rmatvec(self, y: Array) -> Array:
        """``(K, N, M, *out_spatial) -> (K, N, C, *spatial)``."""
        flat = y.reshape(len(y) * self.out_shape[0], *self.out_shape[1:])
        x = np.empty((len(flat), *self.in_shape[1:]), np.result_type(y, self.weight))
        for block in self._blocks(len(flat), x.itemsize):
            x[block] = self._backward(flat[block])
        return x.reshape(len(y), *self.in_shape)

    def _backward(self, y: Array) -> Array:
        rows = y.reshape(len(y), self.group, self._matrix.shape[1], prod(self.out_shape[2:]))
        taps = self._matrix.swapaxes(1, 2) @ rows
        if self._pointwise:
            return taps.reshape(len(y), *self.in_shape[1:])
        channels = self.in_shape[1]
        taps = taps.reshape(len(y), channels, *self._kernel, *self.out_shape[2:])
        padded = np.zeros((len(y), channels, *self._padded_shape()), dtype=taps.dtype)
        for tap, window in self._windows():
            padded[window] += taps[(*SAMPLES_CHANNELS, *tap)]
        return padded[self._inside()]

    def to_sparse(self, dtype: npt.DTypeLike = np.float64) -> sp.csr_array:
        """Output (n, m, p) reads input (n, c, window p) with weight (m, c, tap)."""
        n, c = self.in_shape[0], self.weight.shape[1]
        position = np.full((n, self.in_shape[1], *self._padded_shape()), -1, dtype=np.int64)
        position[self._inside()] = flat_index(self.in_shape)
        # Axes (n, group, m, c, tap, p) throughout.
        column = np.stack([position[window] for _, window in self._windows()], axis=2)
        taps, points, m = prod(self._kernel), prod(self.out_shape[2:]), self._matrix.shape[1]
        column = column.reshape(n, self.group, 1, c, taps, points)
        row = flat_index(self.out_shape).reshape(n, self.group, m, 1, 1, points)
        value = self._matrix.reshape(1, self.group, m, c, taps, 1)
        row, column, value = np.broadcast_arrays(row, column, value)
        real = column >= 0
        return entries(self, row[real], column[real], value[real], dtype)

    def lower(self, x: Stack) -> Stack:
        """Conv."""
        graph = x.emitter
        weight = tensor(graph, self.weight, graph.dtype)
        pads = [*self.begin, *self.end]
        name = graph("Conv", x.rows_merged, weight, pads=pads, **self._attributes)
        return x.as_rows_merged(name, self.out_shape)

    def lower_adjoint(self, y: Stack) -> Stack:
        """Conv with the kernel turned round, or ConvTranspose, whichever is faster."""
        graph = y.emitter
        place = "" if is_traced(self.weight) else graph.place(self.weight)
        lean = place in graph.lean
        if lean and self.packs:
            given = {**self._attributes, "pads": [*self.begin, *self.end]}
            return spread(y, self.weight, self.in_shape, given, packed=graph.lean[place])
        if self._turns_well and not lean:
            return self._lower_turned(y)
        if self._only_strides and not lean:
            # Measured with onnxruntime 1.32: spreading the entries afterwards is 1.7 times faster.
            mixed = graph("Conv", y.rows_merged, self._turned(graph))
            each = graph.floats(np.ones((self.in_shape[1], 1, *self._kernel)))
            return self._transposed(y, mixed, each, group=self.in_shape[1])
        weight = tensor(graph, self.weight, graph.dtype)
        return self._transposed(y, y.rows_merged, weight, group=self.group)

    @property
    def packs(self) -> bool:
        """Whether the adjoint may be one product of all samples with the kernel as it is stored.

        ConvTranspose has one for each sample. Measured with onnxruntime 1.32: with so few points
        ten rows are 1.6 to 3 times faster, and as fast as with a kernel that is laid out anew.
        """
        few = len(self._kernel) == 2 and prod(self.out_shape[2:]) <= FEW_POINTS
        return few and self.group == 1 and not is_traced(self.weight)

    def _transposed(self, y: Stack, samples: str, weight: str, *, group: int) -> Stack:
        """Write ConvTranspose of this geometry."""
        steps = zip(self.out_shape[2:], self._kernel, self.strides, self.dilations, strict=True)
        reached = [(m - 1) * s + (k - 1) * d + 1 for m, k, s, d in steps]
        # Entries at the end that no window reaches.
        left = [n - r for n, r in zip(self._padded_shape(), reached, strict=True)]
        attributes = {**self._attributes, "group": group, "output_padding": left}
        pads = [*self.begin, *self.end]
        name = y.emitter("ConvTranspose", samples, weight, pads=pads, **attributes)
        return y.as_rows_merged(name, self.in_shape)

    @property
    def _only_strides(self) -> bool:
        """Whether windows are single entries, some way apart."""
        single = prod(self._kernel) == self.group == 1 and not is_traced(self.weight)
        return single and self.in_shape[1] >= FEW_CHANNELS

    @property
    def _turns_well(self) -> bool:
        """Whether a convolution makes the adjoint faster than ConvTranspose does.

        Measured with onnxruntime 1.32: with strides, or few channels on the side of the input, it
        does not. A kernel that depends on x would have to be turned at every run.
        """
        plain = set(self.strides) <= {1} and self.in_shape[1] >= FEW_CHANNELS
        return plain and not is_traced(self.weight) and min(self._turned_pads, default=0) >= 0

    @property
    def _turned_pads(self) -> list[int]:
        reach = [d * (k - 1) for k, d in zip(self._kernel, self.dilations, strict=True)]
        pads = zip(reach * 2, self.begin + self.end, strict=True)
        return [r - p for r, p in pads]

    def _lower_turned(self, y: Stack) -> Stack:
        attributes = {**self._attributes, "pads": self._turned_pads}
        name = y.emitter("Conv", y.rows_merged, self._turned(y.emitter), **attributes)
        return y.as_rows_merged(name, self.in_shape)

    def _turned(self, graph: Emitter) -> str:
        """Write the kernel transposed and reversed, by nodes: it is stored only once."""
        m, c, *kernel = self.weight.shape
        turned = tensor(graph, self.weight, graph.dtype)
        if self.group > 1:
            apart = graph.ints([self.group, m // self.group, c, *kernel])
            order = [0, 2, 1, *range(3, 3 + len(kernel))]
            turned = graph("Transpose", graph("Reshape", turned, apart), perm=order)
            turned = graph(
                "Reshape", turned, graph.ints([self.group * c, m // self.group, *kernel])
            )
        else:
            turned = graph("Transpose", turned, perm=[1, 0, *range(2, 2 + len(kernel))])
        axes = [2 + i for i, k in enumerate(kernel) if k > 1]
        if axes:
            last, before, step = ([n] * len(axes) for n in (-1, -(2**31), -1))
            turned = graph("Slice", turned, *(graph.ints(v) for v in (last, before, axes, step)))
        return turned

    @property
    def _attributes(self) -> dict[str, Any]:
        return {
            "strides": list(self.strides),
            "dilations": list(self.dilations),
            "group": self.group,
        }

    def absolute(self) -> Conv:
        """Absolute values of the kernel."""
        geometry = (self.strides, self.dilations, self.begin, self.end, self.group)
        return Conv(self.in_shape, self.out_shape, np.abs(self.weight), *geometry)

    @property
    def fan_in(self) -> int:
        """Entries of the kernel that meet one output."""
        return prod(self.weight.shape[1:])

    @property
    def fan_out(self) -> int:
        """Entries of the kernel that meet one input: all, or every stride-th tap."""
        reads = zip(self._kernel, self.strides, self.dilations, strict=True)
        # With a dilation the taps of one input are not every stride-th one; all is a safe bound.
        taps = prod(-(-k // s) if d == 1 else k for k, s, d in reads)
        return self.weight.shape[0] // self.group * taps

    @property
    def workspace(self) -> int:
        """One unfolded sample: every tap of every window."""
        return self.in_shape[1] * prod(self._kernel) * prod(self.out_shape[2:])
