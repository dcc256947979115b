"""Hypothesis strategies for linear maps: one maker a primitive.

A maker gets the shape that its map must take, so that maps can be chained, summed and turned
round. Coefficients are small integers, so that every law is an equality: nothing rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxlin.primitives import (
    Adjoint,
    Along,
    Broadcast,
    Chain,
    Conv,
    Crop,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Select,
    Shape,
    Sum,
    Transpose,
    adjoint,
    chain,
)

SMALL = st.integers(-3, 3)
# Chains of broadcasts and of long gathers would otherwise grow without end.
MOST_ENTRIES = 300


def integers(k: int, *shape: int, dtype: npt.DTypeLike = np.float64) -> st.SearchStrategy[Any]:
    """Stacks ``(k, *shape)`` of small whole numbers in floating point, C or Fortran order."""
    arrays = hnp.arrays(dtype, (k, *shape), elements=SMALL)
    return st.builds(np.asarray, arrays, order=st.sampled_from("CF"))


def shapes(min_dims: int = 0, max_dims: int = 4) -> st.SearchStrategy[Shape]:
    """Shapes with sides from 0 to 3, few of them 0."""
    side = st.sampled_from((1, 2, 3, 2, 3, 1, 2, 0))
    dims = st.lists(side, min_size=min_dims, max_size=max_dims)
    return dims.map(tuple).filter(lambda shape: prod(shape) <= 54)


@dataclass(frozen=True)
class Source:
    """What a maker draws from."""

    draw: st.DrawFn
    dtype: npt.DTypeLike = np.float64
    depth: int = 2

    def array(self, *shape: int) -> npt.NDArray[Any]:
        """Small whole numbers, zeros among them."""
        return self.draw(hnp.arrays(self.dtype, shape, elements=SMALL))

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return self.draw(st.integers(low, high))

    def numbers(self, low: int, high: int, size: int) -> Shape:
        """As many whole numbers."""
        return tuple(self.number(low, high) for _ in range(size))

    def choice(self, *options: Any) -> Any:
        """One of the options."""
        return self.draw(st.sampled_from(options))

    def map(self, shape: Shape) -> LinearMap:
        """Any map that takes arrays of ``shape``, less deeply nested than this source."""
        fits = [kind for kind, (low, high, _) in MAKERS.items() if low <= len(shape) <= high]
        if not self.depth:
            fits = [kind for kind in fits if kind not in NESTED]
        if not fits:
            return Reshape(shape, (prod(shape),))  # a chain may grow axes beyond what makers take
        _, _, make = MAKERS[self.choice(*fits)]
        op = make(replace(self, depth=self.depth - 1), shape)
        too_large = max(op.rows, op.columns) > MOST_ENTRIES
        return Select.of(shape, self.index(prod(shape), (2,))) if too_large else op

    def index(self, below: int, shape: Shape) -> npt.NDArray[Any]:
        """Positions from -1, with repeats."""
        return self.draw(hnp.arrays(np.int64, shape, elements=st.integers(-1, below - 1)))


Maker = Callable[[Source, Shape], LinearMap]
MAKERS: dict[type[LinearMap], tuple[int, int, Maker]] = {}
"""Primitive -> smallest and largest rank that it takes, and its maker."""
NESTED = (Adjoint, Chain, Sum)


def maker(kind: type[LinearMap], low: int = 0, high: int = 6) -> Callable[[Maker], Maker]:
    """Register the maker of a primitive, for inputs of rank ``low`` to ``high``."""

    def register(make: Maker) -> Maker:
        MAKERS[kind] = low, high, make
        return make

    return register


@maker(Diagonal)
def diagonal(source: Source, shape: Shape) -> Diagonal:
    """A scale of the full shape, or one that broadcasts, down to a scalar."""
    kept = source.number(0, len(shape))
    ends = shape[len(shape) - kept :]
    return Diagonal.of(shape, source.array(*(source.choice(n, 1) for n in ends)))


@maker(Select)
def select(source: Source, shape: Shape) -> Select:
    """Any positions, repeats and -1 among them."""
    return Select.of(shape, source.index(prod(shape), source.draw(shapes(max_dims=3))))


@maker(Reshape)
def reshape(source: Source, shape: Shape) -> Reshape:
    """Flat, permuted sides, ones put in, or another empty shape."""
    options = [(prod(shape),), tuple(source.draw(st.permutations(shape))), (1, *shape)]
    if prod(shape) == 0:
        options.append((2, 0, 3))
    if prod(shape) == 1:
        options.append(())
    return Reshape(shape, source.choice(*options))


@maker(Transpose)
def transpose(source: Source, shape: Shape) -> Transpose:
    """Any permutation."""
    return Transpose.of(shape, tuple(source.draw(st.permutations(range(len(shape))))))


@maker(Broadcast, high=4)
def broadcast(source: Source, shape: Shape) -> Broadcast:
    """Sides of 1 repeated (0 times, too), axes put before."""
    sides = tuple(source.number(0, 3) if n == 1 else n for n in shape)
    return Broadcast(shape, (*source.numbers(0, 3, source.number(0, 2)), *sides))


@maker(Crop)
def crop(source: Source, shape: Shape) -> Crop:
    """Strided boxes, forwards and backwards, empty ones among them."""
    axes = [_box(source, n) for n in shape]
    sizes, starts, steps = zip(*axes, strict=True) if axes else ((), (), ())
    return Crop(shape, sizes, starts, steps)


def _box(source: Source, n: int) -> tuple[int, int, int]:
    """Size, start and step along an axis of ``n``."""
    size = source.number(0, n)
    step = source.number(1, (n - 1) // (size - 1)) if size > 1 else source.number(1, 3)
    reach = max(size - 1, 0) * step
    start = source.number(0, n - 1 - reach) if size else 0
    return (size, start, step) if source.choice(True, False) else (size, start + reach, -step)


@maker(Along, low=1)
def along(source: Source, shape: Shape) -> Along:
    """A matrix, dense or (long and almost empty) kept sparse, or a gather."""
    axis = source.number(0, len(shape) - 1)
    form = source.choice("matrix", "take", "sparse")
    if form == "matrix":
        matrix = source.array(source.number(0, 3), shape[axis])
        return Along.of(shape, axis, sp.csr_array(matrix))
    index = source.index(shape[axis], (source.number(0, 4),))
    if form == "sparse":
        # With at most one entry in 17 rows the matrix stays sparse whatever its width.
        index = np.concatenate([np.full(17, -1), index[:1]])
    return Along.take(shape, axis, index)


@maker(MatMul, low=2)
def matmul(source: Source, shape: Shape) -> MatMul:
    """A matrix on either side, or a stack of them whose batch axes broadcast against those of x."""
    batch: Shape = ()
    if source.choice(True, False):
        before = source.numbers(0, 2, source.number(0, 1))
        batch = (*before, *(source.number(1, 3) if n == 1 else n for n in shape[:-2]))
        # A batch axis of the matrix may be 1 or missing where x has one.
        batch = tuple(source.choice(n, 1) for n in batch)[source.number(0, len(batch)) :]
    ends, left = (shape[-1], source.number(0, 3)), source.choice(False, True)
    if left:
        ends = (source.number(0, 3), shape[-2])
    return MatMul.of(shape, source.array(*batch, *ends), left=left)


@maker(Conv, low=3, high=5)
def conv(source: Source, shape: Shape) -> LinearMap:
    """Any geometry with at least one place for the kernel, or else none at all."""
    spatial = shape[2:]
    kernel = source.numbers(1, 3, len(spatial))
    dilations = source.numbers(1, 2, len(spatial))
    strides = source.numbers(1, 3, len(spatial))
    begin = source.numbers(0, 2, len(spatial))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    # Zeros at the end make up for what is missing; with extra, windows may end in them.
    missing = [max(r - n - b, 0) for r, n, b in zip(reach, spatial, begin, strict=True)]
    end = tuple(m + source.number(0, 1) for m in missing)
    group = source.choice(*(g for g in (1, 2, 3) if shape[1] % g == 0))
    weight = source.array(group * source.number(1, 2), shape[1] // group, *kernel)
    return Conv.of(
        shape,
        weight,
        strides=strides,
        dilations=dilations,
        begin=begin,
        end=end,
        group=group,
    )


@maker(Chain)
def chained(source: Source, shape: Shape) -> LinearMap:
    """Two or three maps, nested ones among them."""
    maps = [source.map(shape)]
    for _ in range(source.number(1, 2)):
        maps.append(source.map(maps[-1].out_shape))
    return chain(*maps)


@maker(Sum)
def summed(source: Source, shape: Shape) -> Sum:
    """A map, and others of its shapes: the same again, scaled, or any gather."""
    op = source.map(shape)
    scaled = chain(op, diagonal(source, op.out_shape))
    gather = Select.of(shape, source.index(prod(shape), op.out_shape))
    return Sum.of(op, *source.choice((), (op,), (scaled,), (gather,), (scaled, gather)))


@maker(Adjoint)
def adjoined(source: Source, shape: Shape) -> Adjoint:
    """A sum over axes, zeros put around, a scatter, or any map turned round twice."""
    make = source.choice(_sums, _embeds, _scatters, _twice)
    return adjoint(make(source, shape))


def _sums(source: Source, shape: Shape) -> Broadcast:
    kept = shape[source.number(0, len(shape)) :]
    return Broadcast(tuple(source.choice(n, 1) for n in kept), shape)


def _embeds(source: Source, shape: Shape) -> Crop:
    start, step = source.numbers(0, 2, len(shape)), source.numbers(1, 2, len(shape))
    ends = zip(start, step, shape, source.numbers(0, 1, len(shape)), strict=True)
    around = tuple(a + max(n - 1, 0) * s + (n > 0) + e for a, s, n, e in ends)
    return Crop(around, shape, start, step)


def _scatters(source: Source, shape: Shape) -> Select:
    target = source.draw(shapes(max_dims=3))
    return Select.of(target, source.index(prod(target), shape))


def _twice(source: Source, shape: Shape) -> Adjoint:
    return adjoint(source.map(shape))


@st.composite
def linear_maps(
    draw: st.DrawFn, kind: type[LinearMap] | None = None, dtype: npt.DTypeLike = np.float64
) -> LinearMap:
    """Draw a map of one kind, or of any kind and also turned round."""
    wanted = kind or draw(st.sampled_from(list(MAKERS)))
    low, high, make = MAKERS[wanted]
    op = make(Source(draw, dtype), draw(shapes(low, min(high, 5 if wanted is Conv else 4))))
    return adjoint(op) if kind is None and draw(st.booleans()) else op
