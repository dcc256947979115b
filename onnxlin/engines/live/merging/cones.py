"""What each pixel of a tensor sees of an earlier one: a box that moves on with the pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from onnxlin.engines.live.places import Places
from onnxlin.primitives import Array, Conv, Diagonal, LinearMap, Reshape, Select, Shape

# (1, C, H, W): images of one sample. Signals are taken for images of one row.
IMAGE = 4


@dataclass(frozen=True)
class Cone:
    """Pixel p sees, along each axis, the pixels from ``p * step - back`` on, ``size`` of them.

    Parameters
    ----------
    step, back, size : (int, int)
        Of rows and of columns.
    """

    step: Shape
    back: Shape
    size: Shape

    def joined(self, other: Cone) -> Cone | None:
        """What both see; None where one of them moves on faster."""
        if self.step != other.step:
            return None
        back = tuple(map(max, self.back, other.back))
        ends = (
            max(n - b, m - c)
            for n, b, m, c in zip(self.size, self.back, other.size, other.back, strict=True)
        )
        return Cone(self.step, back, tuple(b + end for b, end in zip(back, ends, strict=True)))


POINT = Cone((1, 1), (0, 0), (1, 1))
"""A pixel sees itself."""


@dataclass(frozen=True)
class Span:
    """Row r of a map's output reads the rows from ``r * step + first`` on, ``count`` of them.

    Parameters
    ----------
    step, first, count : (int, int)
        Of rows, and likewise of columns.
    """

    step: Shape
    first: Shape
    count: Shape

    def seen(self, cone: Cone) -> Cone:
        """What the output sees of that which the input sees in this way.

        Where all of it lies behind the pixel (a pool whose winners are all to the right), what lies
        between counts as seen: columns are counted from the first that is.
        """
        step, back, size = [], [], []
        for s, f, n, along in zip(
            self.step,
            self.first,
            self.count,
            zip(cone.step, cone.back, cone.size, strict=True),
            strict=True,
        ):
            step.append(s * along[0])
            begin = along[1] - f * along[0]
            back.append(max(begin, 0))
            size.append((n - 1) * along[0] + along[2] + max(-begin, 0))
        return Cone(tuple(step), tuple(back), tuple(size))

    def rows(self, low: int, high: int, most: int) -> tuple[int, int]:
        """First row and last, exclusive, that such rows of the output read, of so many."""
        first = low * self.step[0] + self.first[0]
        last = (high - 1) * self.step[0] + self.first[0] + self.count[0]
        return min(max(first, 0), most), min(max(last, 0), most)


def as_image(shape: Shape) -> Shape | None:
    """Shape of one image, a signal being one row; None where it is anything else."""
    if len(shape) not in (IMAGE - 1, IMAGE) or shape[0] != 1:
        return None
    return shape if len(shape) == IMAGE else (*shape[:2], 1, shape[2])


def placed(places: Places) -> Places:
    """The same lines of what is seen as an image."""
    shape = as_image(places.shape)
    assert shape is not None
    return places if shape == places.shape else Places(shape, places.flat, places.pixels)


def on_images(op: LinearMap) -> LinearMap | None:
    """The same map of images; None where it is none that keeps to where pixels are."""
    ins, outs = as_image(op.in_shape), as_image(op.out_shape)
    if ins is None or outs is None:
        return None
    if isinstance(op, Conv) and op.group == 1:
        return op if len(op.in_shape) == IMAGE else _as_rows(op, ins, outs)
    if isinstance(op, Diagonal):
        return Diagonal.of(ins, np.broadcast_to(op.scale, op.in_shape).reshape(ins))
    if isinstance(op, Select):
        return replace(op, in_shape=ins, out_shape=outs, index=op.index.reshape(outs))
    return op if isinstance(op, Reshape) and op.in_shape == op.out_shape else None


def _as_rows(op: Conv, ins: Shape, outs: Shape) -> Conv:
    """A convolution of signals as one of images of one row."""
    return replace(
        op,
        in_shape=ins,
        out_shape=outs,
        weight=op.weight[:, :, None],
        strides=(1, *op.strides),
        dilations=(1, *op.dilations),
        begin=(0, *op.begin),
        end=(0, *op.end),
    )


def span(op: LinearMap, source: Places, target: Places) -> Span:
    """Which pixels a map of images reads.

    Parameters
    ----------
    op : LinearMap
        As `on_images` gives it.
    source, target : Places
        The live inputs and outputs.
    """
    if isinstance(op, Conv):
        count = tuple(
            (k - 1) * d + 1 for k, d in zip(op.weight.shape[2:], op.dilations, strict=True)
        )
        return Span(op.strides, tuple(-b for b in op.begin), count)
    if not isinstance(op, Select):
        return Span((1, 1), (0, 0), (1, 1))
    read = op.index.reshape(-1)[target.flat]
    kept = np.flatnonzero((read >= 0) & (source.line[read] >= 0))
    if not len(kept):
        return Span((1, 1), (0, 0), (1, 1))
    along = [
        _along(p, q, n, m)
        for p, q, n, m in zip(
            _pixels(target.flat[kept], target.shape),
            _pixels(read[kept], source.shape),
            target.shape[2:],
            source.shape[2:],
            strict=True,
        )
    ]
    step, first, count = zip(*along, strict=True)
    return Span(step, first, count)


def unchanged(op: LinearMap, source: Places, target: Places) -> bool:
    """Whether cotangents, and all that is kept of live entries, are the same on both sides."""
    if isinstance(op, Conv | Select) or len(source) != len(target):
        return False
    plain = True
    if isinstance(op, Diagonal):
        plain = bool((np.broadcast_to(op.scale, op.in_shape).reshape(-1)[target.flat] == 1).all())
    return plain and np.array_equal(source.flat, target.flat)


def _pixels(flat: Array, shape: Shape) -> tuple[Array, Array]:
    """Row and column of entries."""
    rows, columns = np.divmod(flat % (shape[2] * shape[3]), shape[3])
    return rows, columns


def _along(p: Array, q: Array, n: int, m: int) -> tuple[int, int, int]:
    """Step, first and count by which pixels p, of n, read pixels q, of m: as few as will do."""
    found = []
    for step in {max(m // n, 1), -(-m // n)}:
        away = q - step * p
        found.append((int(away.max() - away.min()) + 1, step, int(away.min())))
    count, step, first = min(found)
    return step, first, count
