"""The maps of one chunk, as arrays along its samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from onnxlin.affine_map import TINY, AffineMap
from onnxlin.data.kept.variable import Layout
from onnxlin.engines.job import Columns
from onnxlin.graph import Array

# Entries of W that are brought to float64 at once.
AT_ONCE = 2**17
REST = "(other nodes)"
"""Under which a ledger adds up shares of nodes that only some samples have."""


@dataclass(frozen=True, eq=False)
class Samples:
    """n samples, K rows of each; what is at a sample that has failed is not to be used.

    Parameters
    ----------
    layout : Layout
    y : array (n, outputs)
        F(x) of the model's own run.
    rows : integer array (n, K)
        Which outputs W has rows of.
    W : array (n, K, columns)
    x : array (n, columns), float64
    shares : array (n, K, nodes), float64
        Of b, by `Layout.nodes`.
    """

    layout: Layout
    y: Array
    rows: Array
    W: Array
    x: Array
    shares: Array

    @classmethod
    def empty(cls, layout: Layout, count: int) -> Samples:
        """Room for so many."""
        k, columns = layout.count, prod(layout.shape)
        return cls(
            layout,
            np.full((count, layout.outputs), np.nan),
            np.full((count, k), -1, np.int64),
            np.zeros((count, k, columns), layout.kind),
            np.zeros((count, columns)),
            np.zeros((count, k, len(layout.nodes))),
        )

    def take(self, i: int, m: AffineMap, places: Array) -> None:
        """Take the map of one sample; ``places`` are those of the rows wanted, among its rows."""
        self.W[i] = m.W[places]
        self.x[i] = m.x
        bias, nodes = m.bias_by_node, self.layout.nodes
        if isinstance(bias, Columns) and bias.names == nodes[: len(bias.names)]:
            self.shares[i, :, : len(bias.names)] = bias.array[places]
            return
        at = {name: k for k, name in enumerate(nodes)}
        for name, share in bias.items():
            self.shares[i, :, at.get(name, len(nodes) - 1)] += share[places]

    @property
    def products(self) -> Array:
        """``W * x`` in the precision of W, ``(n, K, columns)``."""
        found: Array = self.W * self.x[:, None].astype(self.W.dtype)
        return found

    def ends(self) -> tuple[Array, Array, Array]:
        """Return W x, b, and the scale that a residual is relative to: each ``(n, K)``."""
        n, k, columns = self.W.shape
        Wx, size = np.empty((2, n, k))
        # A few at a time: in float64 all of them would be the largest array of a run.
        few = max(AT_ONCE // max(k * columns, 1), 1)
        for i in range(0, n, few):
            wide = self.W[i : i + few] * self.x[i : i + few, None]
            Wx[i : i + few] = wide.sum(axis=2)
            size[i : i + few] = np.abs(wide, out=wide).sum(axis=2)
        # In their order, as a map adds them up.
        b = self.shares.cumsum(axis=2)[..., -1] if self.shares.shape[2] else np.zeros_like(Wx)
        return Wx, b, size + np.abs(self.shares).sum(axis=2) + TINY

    @property
    def taken(self) -> Array:
        """F(x) of the rows that are kept, ``(n, K)``."""
        found: Array = np.take_along_axis(self.y, np.maximum(self.rows, 0), axis=1)
        return found
