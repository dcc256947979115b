"""Convolutions between live entries: a product for each pixel and each row of the kernel.

Lines are kept pixel by pixel, so the pixels that one row of the kernel meets are one block of lines
of G, and what multiplies them is a part of a table of the kernel: the rows of the live channels of
those pixels, the columns of the live channels of this one. Where a pixel has few channels, several
side by side are taken together.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil, prod
from typing import Any

import numpy as np

from onnxlin.engines.live.gemm import CALL, RATE, Product, alone
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.threads import cores
from onnxlin.primitives import Adjoint, Array, Conv, LinearMap, Shape

# Sides of a product at which BLAS has half its rate.
SLOW = 12
# Pixels that are taken together at most: the table grows with their square.
MOST = 16


@dataclass(frozen=True, eq=False)
class Windows:
    """The adjoint of a convolution, or a convolution, between live entries.

    Parameters
    ----------
    op : Conv
    back : bool
        Whether it is the adjoint: source are outputs of the convolution, target its inputs.
    source, target : Places
    dtype : numpy.dtype
    rows : int
        Of W, about, that come at once.
    """

    op: Conv
    back: bool
    source: Places
    target: Places
    dtype: np.dtype[Any]
    rows: int

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Add the products, by several threads."""
        n, _, *space = self.target.shape
        rows = [(i, at) for i in range(n) for at in np.ndindex(*space[:-1])]
        threads = min(cores(), len(rows))
        if threads < 2:
            self._run(rows, G, out, fresh=fresh)
            return
        with alone(), ThreadPoolExecutor(threads) as pool:
            parts = [rows[i::threads] for i in range(threads)]
            run = partial(self._run, G=G, out=out, fresh=fresh)
            for done in [pool.submit(run, part) for part in parts]:
                done.result()

    def _run(self, rows: list[tuple[int, Shape]], G: Array, out: Array, *, fresh: bool) -> None:
        """Add what arrives at some rows of target pixels."""
        add, taps = Product(G, out), self.taps
        width, step = self.target.shape[-1], self.block
        source, target = self.source.shape[1], self.target.shape[1]
        starts, codes = self.target.first, self.target.codes
        froms, others = self.source.first, self.source.codes
        last = self.source.shape[-1]
        for sample, at in rows:
            meets = self._meets(sample, at)
            base = _pixel(self.target.shape, sample, at)
            for x in range(base, base + width, step):
                low, high = starts[x], starts[min(x + step, base + width)]
                if low == high:
                    continue
                own, new = None, fresh
                origin, phase = self._origin(x - base)
                for lead, first, count, table in taps[phase]:
                    row, left = meets[lead], origin + first
                    a, b = max(left, 0), min(left + count, last)
                    if row < 0 or a >= b:
                        continue
                    s0, s1 = froms[row + a], froms[row + b]
                    if s0 == s1:
                        continue
                    part = table.take(others[s0:s1] - (row + left) * source, 0)
                    if high - low < part.shape[1]:
                        if own is None:
                            own = codes[low:high] - x * target
                        part = part.take(own, 1)
                    add(part, s0, s1, low, high, fresh=new)
                    new = False
                if new:
                    out[low:high] = 0

    def _meets(self, sample: int, at: Shape) -> dict[Shape, int]:
        """First source pixel of the row that each leading tap meets from a row of the target's.

        -1 where it meets none.
        """
        found = {}
        for lead in np.ndindex(*self.op.weight.shape[2:-1]):
            other = []
            sizes = zip(at, lead, self.op.strides, self.op.dilations, self.op.begin, strict=False)
            for i, k, s, d, p in sizes:
                place, rest = divmod(i + p - k * d, s) if self.back else (i * s + k * d - p, 0)
                other.append(-1 if rest else place)
            space = self.source.shape[2:-1]
            inside = all(0 <= o < n for o, n in zip(other, space, strict=True))
            found[lead] = _pixel(self.source.shape, sample, tuple(other)) if inside else -1
        return found

    def _origin(self, x: int) -> tuple[int, int]:
        """Source pixel along the last axis from which a block at x counts, and its phase."""
        s, p = self.op.strides[-1], self.op.begin[-1]
        return divmod(x + p, s) if self.back else (x * s - p, 0)

    @cached_property
    def block(self) -> int:
        """How many target pixels are taken together: the cheapest number, by what products cost."""
        s = self.op.strides[-1] if self.back else 1
        if self.op.dilations[-1] > 1 or not len(self.target):
            return s
        most = min(MOST, self.target.shape[-1])
        return min(range(s, max(most, s) + 1, s), key=lambda block: self._cost(block, self.rows))

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables of weights."""
        kernel, channels = self.op.weight.shape[2:], self.source.shape[1] * self.target.shape[1]
        # As many source pixels as a block meets, for every pixel of the block.
        met = self._met_by(self.block) * self.block
        return prod(kernel[:-1]) * met * channels * self.dtype.itemsize

    def _met_by(self, block: int) -> int:
        """Source pixels along the last axis that so many target pixels meet."""
        kernel, s = self.op.weight.shape[-1], self.op.strides[-1]
        return ceil((block - 1 + kernel) / s) if self.back else (block - 1) * s + kernel

    def seconds(self, rows: int) -> float:
        """Estimate the products of so many rows."""
        pixels = prod(self.target.shape) / max(self.target.shape[1], 1)
        leads: float = prod(self.op.weight.shape[2:-1])
        if self.back:  # of a kernel's taps, those that a stride lets meet a pixel
            leads /= prod(self.op.strides[:-1])
        return self._cost(self.block, rows) * pixels * leads / cores()

    def _cost(self, block: int, rows: int) -> float:
        """Seconds for a target pixel and a leading tap, at such blocks, of one thread."""
        pixels = [prod(p.shape) // max(p.shape[1], 1) for p in (self.target, self.source)]
        n, c = (
            len(p) / max(count, 1)
            for p, count in zip((self.target, self.source), pixels, strict=True)
        )
        n, k = block * n, self._met_by(block) * c
        rate = RATE * n / (n + SLOW) * k / (k + SLOW)
        return (CALL + n * k * rows / rate) / block

    @cached_property
    def taps(self) -> dict[int, list[tuple[Shape, int, int, Array]]]:
        """For each phase: leading tap, first source pixel and count, and the table of its weights.

        A table is ``(count * source channels, block * target channels)``.
        """
        phases = {self._origin(x)[1] for x in range(0, self.target.shape[-1], self.block)}
        return {phase: list(self._tables(phase)) for phase in phases}

    def _tables(self, phase: int) -> Iterator[tuple[Shape, int, int, Array]]:
        width, d = self.op.weight.shape[-1], self.op.dilations[-1]
        # (pixel of the block, tap) -> source pixel; several share one product where they adjoin.
        met = {}
        for x, k in np.ndindex(self.block, width):
            at = self._met(x, k, phase)
            if at is not None:
                met[x, k] = at
        runs = [list(met)] if d == 1 else [[key] for key in met]
        weight = self.op.weight.astype(self.dtype, copy=False)
        if not self.back:
            weight = weight.swapaxes(0, 1)
        for lead in np.ndindex(*weight.shape[2:-1]):
            kernel = weight[(slice(None), slice(None), *lead)]
            for run in filter(None, runs):
                first = min(met[key] for key in run)
                count = max(met[key] for key in run) - first + 1
                table = np.zeros((count, kernel.shape[0], self.block, kernel.shape[1]), self.dtype)
                for x, k in run:
                    table[met[x, k] - first, :, x] = kernel[..., k]
                yield lead, first, count, table.reshape(count * kernel.shape[0], -1)

    def _met(self, x: int, k: int, phase: int) -> int | None:
        """Source pixel that pixel x of a block meets at tap k, as seen from its origin."""
        s, d = self.op.strides[-1], self.op.dilations[-1]
        if not self.back:
            return x * s + k * d
        place, rest = divmod(phase + x - k * d, s)
        return None if rest else place


def _pixel(shape: Shape, sample: int, at: Shape) -> int:
    """Number of the first pixel of a row."""
    found = sample
    for i, n in zip(at, shape[2:-1], strict=True):
        found = found * n + i
    return found * shape[-1]


def windows(
    op: LinearMap, source: Places, target: Places, dtype: np.dtype[Any], rows: int
) -> Windows | None:
    """The products of a convolution or its transpose; None where it is no such thing."""
    base, back = (op.base, False) if isinstance(op, Adjoint) else (op, True)
    if not isinstance(base, Conv) or base.group > 1 or not (source.pixels and target.pixels):
        return None
    return Windows(base, back, source, target, dtype, rows)
