"""Outputs and bias shares of two maps side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.readings.compare.names import Match


@dataclass(frozen=True)
class OutputDifference:
    """One output of both models, complete.

    Parameters
    ----------
    a, b : str
        Its names.
    shape : tuple of int
    dtypes : (str, str)
    largest, relative : float
        Largest difference of an entry, and that over the largest entry of A.
    changed, of : int
        Places whose largest entry along the last axis is another one, and how many there are.
    strongest : (int, int) or None
        The largest entry in A and in B, where there is one such place.
    """

    a: str
    b: str
    shape: tuple[int, ...]
    dtypes: tuple[str, str]
    largest: float
    relative: float
    changed: int
    of: int
    strongest: tuple[int, int] | None


def outputs(a: AffineMap, b: AffineMap, pairs: Mapping[str, str]) -> tuple[OutputDifference, ...]:
    """Compare the complete outputs."""
    return tuple(_output(n, pairs[n], a.outputs[n], b.outputs[pairs[n]]) for n in a.outputs)


def _output(name: str, other: str, ours: Array, theirs: Array) -> OutputDifference:
    wide, also = ours.astype(np.float64), theirs.astype(np.float64)
    largest = float(np.abs(wide - also).max(initial=0.0))
    top = float(np.abs(wide).max(initial=0.0))
    lines = ours.ndim and ours.shape[-1] > 1 and ours.size
    winners = [np.argmax(v, axis=-1).ravel() if lines else np.zeros(0, int) for v in (wide, also)]
    one = len(winners[0]) == 1
    return OutputDifference(
        name,
        other,
        ours.shape,
        (str(ours.dtype), str(theirs.dtype)),
        largest,
        largest / top if top else (float("inf") if largest else 0.0),
        int(np.count_nonzero(winners[0] != winners[1])),
        len(winners[0]),
        (int(winners[0][0]), int(winners[1][0])) if one else None,
    )


@dataclass(frozen=True, eq=False)
class NodeDifference:
    """Shares of b of a node of A and the node of B that has its name.

    Parameters
    ----------
    a, b : str or None
        Names; None where the other model has no such node.
    shares : (array (K,), array (K,))
        Signed; 0 where there is no such node.
    """

    a: str | None
    b: str | None
    shares: tuple[Array, Array]

    @property
    def gap(self) -> float:
        """Largest difference of a row."""
        return float(np.abs(self.shares[0] - self.shares[1]).max(initial=0.0))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"a": self.a, "b": self.b, "shares": [share.tolist() for share in self.shares]}


def ledgers(a: AffineMap, b: AffineMap, names: Match | None) -> tuple[NodeDifference, ...]:
    """Put the ledgers side by side; without a match nodes of one name are one."""
    ours, theirs = a.bias_by_node, b.bias_by_node
    nodes = {n: n for n in {**ours, **theirs}} if names is None else dict(names.nodes)
    # Constant outputs have shares under their own names.
    nodes |= {n: n for n in ours if n not in nodes and n in theirs and n not in nodes.values()}
    none = np.zeros(len(a.rows))
    both = {n: t for n, t in nodes.items() if n in ours and t in theirs}
    found = [NodeDifference(n, t, (ours[n], theirs[t])) for n, t in both.items()]
    found += [NodeDifference(n, nodes.get(n), (ours[n], none)) for n in ours if n not in both]
    back = {t: n for n, t in nodes.items()}
    left = [t for t in theirs if t not in set(both.values())]
    found += [NodeDifference(back.get(t), t, (none, theirs[t])) for t in left]
    return tuple(found)
