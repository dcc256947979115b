"""Local Jacobians, in bands of rows of pixels: how they are kept.

The local Jacobian of a live entry is what it sees of the root: a box ``(rows, columns, channels)``.
Along rows it counts from where the box of its pixel begins. Along columns it is kept round a
circle: column X of the root lies at ``X mod period``, so boxes of neighbours agree column by
column, and lines of pixels that lie side by side can be multiplied at once. To each row of a box
some entries are added, one for each node that has a bias: added up over the rows, they say what
that bias brings into the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from onnxlin.engines.live.merging.cones import Cone
from onnxlin.engines.live.places import Places
from onnxlin.primitives import Array


@dataclass(frozen=True, eq=False)
class Shape:
    """How the local Jacobians of one tensor are kept.

    Parameters
    ----------
    places : Places
    cone : Cone
    period : int
        Columns of the root after which they come round again.
    channels : int
        Of the root.
    nodes : int
        That have a bias.
    origin : int
        Columns before the root's first that are counted from.
    """

    places: Places
    cone: Cone
    period: int
    channels: int
    nodes: int
    origin: int

    @property
    def rows(self) -> int:
        """Rows of a box."""
        return self.cone.size[0]

    @property
    def own(self) -> int:
        """Entries of a row without those of nodes."""
        return self.period * self.channels

    @property
    def row(self) -> int:
        """Entries of a row."""
        return self.own + self.nodes

    @property
    def size(self) -> int:
        """Entries of a box, with those of nodes."""
        return self.rows * self.row

    def line(self, row: int) -> int:
        """First line of a row of pixels."""
        return self.places.first[row * self.places.shape[-1]]

    def low(self, column: int) -> int:
        """First column of the root that pixels of a column see, from the origin."""
        return column * self.cone.step[1] - self.cone.back[1] + self.origin


@dataclass(frozen=True, eq=False)
class Band:
    """Local Jacobians of some rows of pixels.

    Parameters
    ----------
    shape : Shape
    low, high : int
        Rows.
    boxes : array (lines, rows of a box, entries of a row)
    """

    shape: Shape
    low: int
    high: int
    boxes: Array

    @property
    def first(self) -> int:
        """First line."""
        return self.shape.line(self.low)

    @cached_property
    def places(self) -> Places:
        """Where its lines are, in a tensor of these rows alone."""
        return self.shape.places.rows(self.low, self.high)
