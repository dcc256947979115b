"""Which entry won each window of a max-pool, found by convolutions.

onnxruntime's MaxPool works in the layout of convolutions, many entries at a time, but not where its
indices are asked for: then it compares entry by entry, and on 3x3 windows takes ten times as long
(onnxruntime 1.32: 4.7 to 7.9 ms for 64 channels of 111 x 111, 0.6 without indices).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx

from onnxlin.lowering.blocked import BLOCK
from onnxlin.lowering.emitter import Array, Emitter
from onnxlin.lowering.facts import Fact, facts, surely_finite
from onnxlin.lowering.peephole import STEEP

Shape = tuple[int, ...]

# Comparisons from which on two nodes for each tap cost less than what they save.
MANY = 2**18
# More taps have not been measured.
MOST_TAPS = 9
# Times this power of two, differences of any float32 numbers are steep enough to be 0 or 1, and
# ordinary numbers stay below what float32 holds.
LARGER = 2.0**60
# Added to what is as much larger it changes nothing but zeros, and numbers below 3e-41.
LEAST = 1e-30
BOTH = 1.5


@dataclass(frozen=True)
class Windows:
    """The geometry of a pool of images.

    Parameters
    ----------
    given, made : (N, C, height, width)
    kernel, strides, dilations : (rows, columns)
    begin : (rows, columns)
        Entries before the first one that the first window covers.
    """

    given: Shape
    made: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    begin: Shape

    @property
    def taps(self) -> list[Shape]:
        """Places in a window, in order."""
        return list(np.ndindex(*self.kernel))

    @property
    def pads(self) -> list[int]:
        """Of a convolution that has these windows."""
        reached = zip(
            self.made[2:], self.strides, self.kernel, self.dilations, self.begin, strict=True
        )
        ends = [(m - 1) * s + (k - 1) * d + 1 - b for m, s, k, d, b in reached]
        missing = [max(end - n, 0) for end, n in zip(ends, self.given[2:], strict=True)]
        return [*self.begin, *missing]

    def places(self, axis: int) -> Array:
        """Where along an axis the taps of its windows lie: (windows, kernel)."""
        n, k, s, d, b = (
            v[axis] for v in (self.made[2:], self.kernel, self.strides, self.dilations, self.begin)
        )
        return np.arange(n)[:, None] * s - b + np.arange(k) * d

    @property
    def _both(self) -> tuple[Array, Array]:
        return self.places(0), self.places(1)

    @property
    def inside(self) -> tuple[Array, Array]:
        """Whether the taps of windows lie in the image, along each axis."""
        rows, columns = self._both
        return (rows >= 0) & (rows < self.given[2]), (columns >= 0) & (columns < self.given[3])

    @property
    def corners(self) -> Array:
        """Where in a plane the first tap of each window lies, before it where that is a pad."""
        rows, columns = self._both
        return rows[:, :1] * self.given[3] + columns[None, :, 0]

    @property
    def firsts(self) -> Array:
        """Where in a plane the first tap of each window lies that is inside."""
        rows, columns = (
            np.take_along_axis(p, inside.argmax(axis=1)[:, None], axis=1)
            for p, inside in zip(self._both, self.inside, strict=True)
        )
        return rows * self.given[3] + columns[None, :, 0]

    @property
    def steps(self) -> list[int]:
        """How far behind the first tap each one lies."""
        down, across = self.dilations[0] * self.given[3], self.dilations[1]
        return [row * down + column * across for row, column in self.taps]


def windows_of(node: onnx.NodeProto, given: Shape, made: Shape) -> Windows | None:
    """The windows of a MaxPool that convolutions may tell the winners of; None of all others.

    Parameters
    ----------
    node : onnx.NodeProto
    given, made : shapes of what it reads and what it makes
    """
    known = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type != "MaxPool" or len(given) != 4 or known.get("storage_order") or 0 in made:
        return None
    kernel = tuple(known["kernel_shape"])
    taps = prod(kernel)
    if given[1] % BLOCK or not 1 < taps <= MOST_TAPS or taps * prod(made) < MANY:
        return None
    strides, dilations = (tuple(known.get(n, (1, 1))) for n in ("strides", "dilations"))
    begin = _begin(known, Windows(given, made, kernel, strides, dilations, (0, 0)))
    found = Windows(given, made, kernel, strides, dilations, begin)
    wide = (kernel[1] - 1) * dilations[1] < given[3]  # each row of taps lies behind the one before
    return found if wide and all(a.any(axis=1).all() for a in found.inside) else None


def _begin(known: dict[str, object], bare: Windows) -> Shape:
    """Pads before the first entry of each axis."""
    way = known.get("auto_pad", b"NOTSET")
    if way in (b"NOTSET", b""):
        pads = known.get("pads", [0, 0, 0, 0])
        assert isinstance(pads, list)
        return tuple(pads[:2])
    missing = bare.pads[2:]
    # One that is left over comes last in SAME_UPPER; VALID windows miss nothing.
    return tuple(m // 2 if way == b"SAME_UPPER" else m - m // 2 for m in missing)


def winners(graph: Emitter, windows: Windows, x: str, y: str) -> str | None:
    """Write the positions of the first largest entries, what MaxPool gives as its indices.

    An entry did not win where the largest of its window is above it, which subtraction of floats
    tells exactly. None where an entry may be no number, or infinite: that would reach its
    neighbours; and where one that is negative may be less than a pad, which counts as 0.

    Parameters
    ----------
    x, y : str
        What the pool reads and what it makes.
    """
    padded = any(windows.pads)
    if graph.dtype != np.float32 or not surely_finite(graph, x):
        return None
    if padded and Fact.NOT_NEGATIVE not in facts(graph, x):
        return None
    step = graph("Cast", _passed(graph, windows, x, y), to=onnx.TensorProto.INT64)
    n, c, height, width = windows.given
    planes = np.arange(n * c).reshape(n, c, 1, 1) * (height * width)
    place = graph("Add", step, graph.ints(windows.corners))
    if padded:  # where all are 0 the first tap inside of the image comes before all others
        place = graph("Max", place, graph.ints(windows.firsts))
    return graph("Add", place, graph.ints(planes))


def _passed(graph: Emitter, windows: Windows, x: str, y: str) -> str:
    """How far behind the first tap the winner lies; where all are 0 and some are pads, nothing.

    Each node is a convolution of channels by themselves, with a sum and a HardSigmoid, which
    onnxruntime makes one of: what is passed over so far is 0 or 1, and adds the step to what comes
    next.
    """
    channels = windows.given[1]

    def each(name: str, kernel: Array | float, *bias: str, **given: Any) -> str:
        weight = graph.floats(np.ones((channels, 1, 1, 1)) * kernel)
        return graph("Conv", name, weight, *bias, group=channels, **given)

    padded, steps = any(windows.pads), windows.steps
    taps = windows.taps if padded else windows.taps[:-1]  # the last one wins where no other does
    ends = [*steps[1:], 0]
    least = [graph.floats(np.full(channels, LEAST))] if padded else []
    largest, passed, far = each(y, LARGER, *least), "", ""
    geometry = {name: list(getattr(windows, name)) for name in ("strides", "dilations", "pads")}
    for tap, step, following in zip(taps, steps, ends, strict=False):
        kernel = np.zeros(windows.kernel)
        kernel[tap] = -LARGER
        below = graph("Add", each(x, kernel, **geometry), largest)
        below = graph("HardSigmoid", below, alpha=STEEP, beta=0.0)
        if passed:
            # Both or not. Any factor of at least 1 does, and 1 would make the node that of a step.
            both = graph("Add", each(passed, BOTH), below)
            passed = graph("HardSigmoid", both, alpha=1.0, beta=-BOTH)
        else:
            passed = below
        moved = each(passed, float(following - step))
        far = graph("Add", moved, far) if far else moved
    return far
