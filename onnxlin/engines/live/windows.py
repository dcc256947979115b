"""Convolutions between live entries: a product for each pixel and each row of the kernel.

Lines are kept pixel by pixel, so the pixels that one row of the kernel meets are one block of lines
of G, and what multiplies them is a part of a table of the kernel: the rows of the live channels of
those pixels, the columns of the live channels of this one. Where a pixel has few channels, several
side by side are taken together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import inf, prod
from typing import Any

import numpy as np

from onnxlin.engines.live.cost import Amount
from onnxlin.engines.live.fold import by_channel
from onnxlin.engines.live.gemm import Product, alone
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.threads import shared
from onnxlin.primitives import Adjoint, Array, Chain, Conv, Diagonal, LinearMap, Shape

# Pixels that may be taken together. The table grows with their square.
SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
# Still more are not tried where so many cost so many times what fewer do.
WORSE = 1.5


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
    kept : bool array (lines of the target,) or None
        Lines that get a product; the others get 0.
    """

    op: Conv
    back: bool
    source: Places
    target: Places
    dtype: np.dtype[Any]
    rows: int
    kept: Array | None = None

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Add the products, by several threads."""
        self.taps, self._columns, self.target.first, self.source.first  # noqa: B018  # made before
        work = partial(self._run, G=G, out=out, fresh=fresh)
        if len(self._rows) < 2:
            work(self._rows)
            return
        with alone():
            shared(work, self._rows)

    @cached_property
    def _rows(self) -> list[tuple[int, Shape]]:
        """Every row of target pixels."""
        n, _, *space = self.target.shape
        return [(i, at) for i in range(n) for at in np.ndindex(*space[:-1])]

    def _run(self, rows: Iterable[tuple[int, Shape]], G: Array, out: Array, *, fresh: bool) -> None:
        """Add what arrives at some rows of target pixels."""
        add, taps = Product(G, out), self.taps
        width, step = self.target.shape[-1], self.block
        source, columns, starts = self.source.shape[1], self._columns, self.target.first
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
                            own = columns[low:high]
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

    def _origin(self, x: Any) -> tuple[Any, Any]:
        """Source pixel along the last axis from which a block at x counts, and its phase."""
        s, p = self.op.strides[-1], self.op.begin[-1]
        return divmod(x + p, s) if self.back else (x * s - p, 0)

    @cached_property
    def block(self) -> int:
        """How many target pixels are taken together: the cheapest number, by what products cost."""
        if self.op.dilations[-1] > 1 or not len(self.target):
            return 1
        width = self.target.shape[-1]
        best, least = 1, inf
        for size in SIZES:
            spent = self._cost(size, self.rows) if size <= width else inf
            if spent > WORSE * least:
                break
            best, least = (size, spent) if spent < least else (best, least)
        return best

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables of weights."""
        channels = self.source.shape[1] * self.target.shape[1]
        met = sum(count for phase in self._phases for _, count, _ in self._runs(self.block, phase))
        leads = prod(self.op.weight.shape[2:-1])
        return leads * met * self.block * channels * self.dtype.itemsize

    @property
    def _phases(self) -> set[int]:
        return {self._origin(x)[1] for x in range(0, self.target.shape[-1], self.block)}

    def seconds(self, rows: int) -> float:
        """Estimate the products of so many rows."""
        return self._cost(self.block, rows)

    def _cost(self, block: int, rows: int) -> float:
        """Seconds of all products at such blocks."""
        if block not in self._amounts:
            found = (Amount.of(n, k) for n, k in self._sizes(block))
            self._amounts[block] = sum(found, start=Amount())
        return self._amounts[block].seconds(rows)

    @cached_property
    def _amounts(self) -> dict[int, Amount]:
        """What has been counted, for each block: it is asked for more than once."""
        return {}

    def _sizes(self, block: int) -> Iterator[tuple[Array, Array]]:
        """Lines of the target and of the source in each product, many at a time."""
        if not len(self.target) or not len(self.source):
            return
        bases, meets = self._all_rows
        starts, froms, last = self.target.starts, self.source.starts, self.source.shape[-1]
        width = self.target.shape[-1]
        blocks = np.arange(0, width, block)
        n = (
            starts[bases[:, None] + np.minimum(blocks + block, width)]
            - starts[bases[:, None] + blocks]
        )
        origins, phases = self._origin(blocks)
        for phase in np.unique(phases).tolist():
            at = np.broadcast_to(phases == phase, blocks.shape)
            for first, count, _ in self._runs(block, phase):
                low = np.clip(origins[at] + first, 0, last)
                high = np.clip(origins[at] + first + count, low, last)
                row = np.maximum(meets, 0)[..., None]
                k = (froms[row + high] - froms[row + low]) * (meets >= 0)[..., None]
                yield np.broadcast_to(n[:, at], k.shape).ravel(), k.ravel()

    @cached_property
    def _columns(self) -> Array:
        """Column of every line of the target in the tables of its block."""
        channels, width = self.target.shape[1], self.target.shape[-1]
        pixel, channel = np.divmod(self.target.codes, channels)
        found = pixel % width % self.block * channels + channel
        # The last column is 0.
        return found if self.kept is None else np.where(self.kept, found, self.block * channels)

    @cached_property
    def _all_rows(self) -> tuple[Array, Array]:
        """First target pixel of every row, and the source pixels that each leading tap meets."""
        meets = [list(self._meets(*row).values()) for row in self._rows]
        bases = [_pixel(self.target.shape, *row) for row in self._rows]
        return np.array(bases), np.array(meets).T

    @cached_property
    def taps(self) -> dict[int, list[tuple[Shape, int, int, Array]]]:
        """For each phase: leading tap, first source pixel and count, and the table of its weights.

        A table is ``(count * source channels, block * target channels)``.
        """
        return {phase: list(self._tables(phase)) for phase in self._phases}

    def _runs(self, block: int, phase: int) -> list[tuple[int, int, dict[tuple[int, int], int]]]:
        """First source pixel and count of each product, and what meets what in it.

        That is ``{(pixel of the block, tap): source pixel}``, as seen from the block's origin.
        """
        width, d = self.op.weight.shape[-1], self.op.dilations[-1]
        found = {(x, k): self._met(x, k, phase) for x, k in np.ndindex(block, width)}
        met = {key: at for key, at in found.items() if at is not None}
        # Several share one product where they adjoin.
        runs = [met] if d == 1 else [{key: at} for key, at in met.items()]
        return [
            (min(run.values()), max(run.values()) - min(run.values()) + 1, run)
            for run in runs
            if run
        ]

    def _tables(self, phase: int) -> Iterator[tuple[Shape, int, int, Array]]:
        weight = self.op.weight.astype(self.dtype, copy=False)
        if not self.back:
            weight = weight.swapaxes(0, 1)
        for lead in np.ndindex(*weight.shape[2:-1]):
            kernel = weight[(slice(None), slice(None), *lead)]
            for first, count, run in self._runs(self.block, phase):
                table = np.zeros((count, kernel.shape[0], self.block, kernel.shape[1]), self.dtype)
                for (x, k), at in run.items():
                    table[at - first, :, x] = kernel[..., k]
                wide = table.reshape(count * kernel.shape[0], -1)
                if self.kept is not None:
                    wide = np.pad(wide, [(0, 0), (0, 1)])
                yield lead, first, count, wide

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
    if not (source.pixels and target.pixels):
        return None
    if isinstance(op, Chain):
        return _through(op, source, target, dtype, rows)
    base, back = (op.base, False) if isinstance(op, Adjoint) else (op, True)
    if not isinstance(base, Conv) or base.group > 1:
        return None
    return Windows(base, back, source, target, dtype, rows)


def _through(
    op: Chain, source: Places, target: Places, dtype: np.dtype[Any], rows: int
) -> Windows | None:
    """The products of what `fold` makes: a convolution that reads through a scale and a mask."""
    first, last = op.maps[0], op.maps[-1]
    if not isinstance(first, Diagonal) or not isinstance(last, Conv):
        return None
    factor = by_channel(first)
    if factor is None:
        return None
    weight = last.weight * factor.reshape(1, -1, *[1] * (last.weight.ndim - 2))
    mask = np.broadcast_to(first.scale != 0, first.in_shape).reshape(-1)[target.flat]
    one = replace(last, weight=weight)
    return Windows(one, True, source, target, dtype, rows, None if mask.all() else mask)
