"""Whether a graph of its own took the other side of a near tie than the model's own run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.wide import by_rows
from onnxlin.engines.forward import push
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.carried import NearTie, near_ties
from onnxlin.texts import counted

# Directions in which two W are compared; nodes that a note names.
DIRECTIONS, NAMED = 4, 3
# Times what a sweep in the map's precision is off in any of the directions. Another order of adding
# up is off by as much, coefficients from other roundings of the same numbers by some times more.
APART = 16


def fallen(W: Array, rows: Seeds, origin: Origin) -> tuple[str, ...]:
    """Say that near ties fell to the other side in the graph that made W; () where none did.

    ``W v`` for random v is held against sweeps of the program of the model's own run. Where the two
    are further apart than composing makes them, and there are units that rounding can carry over
    a kink, they have not taken the same pieces. Both maps are right at x.
    """
    if not W.size:
        return ()
    v = np.random.default_rng(0).standard_normal((DIRECTIONS, W.shape[1]))
    v = v.astype(origin.program.dtype)
    theirs, off = _swept(origin.program, rows, v)
    ours = by_rows(W, lambda W: W @ v.T.astype(np.float64))
    gap = np.abs(ours - theirs).max(axis=1)
    if (gap <= APART * off).all():
        return ()
    ties = sorted(near_ties(origin.program, origin.values), key=lambda t: t.distance / t.doubt)
    if not ties:
        return ()
    share = (gap / np.maximum(np.abs(theirs).max(axis=1), np.finfo(np.float64).tiny)).max()
    return (
        f"near tie: W is not that of the model's own run (W v is apart by {share:.1e} of itself, "
        "for random v): the compiled graph, which rounds differently, took the other side of a "
        f"kink. {_named(ties)}. Both maps are right at x; engine='reverse' gives the one of the "
        "model's own run",
    )


def _swept(program: LinearProgram, rows: Seeds, v: Array) -> tuple[Array, Array]:
    """``W v`` in float64, ``(n_rows, k)``, and how far the map's precision is off it, by row."""
    wide = push(replace(program, dtype=np.dtype(np.float64)), v.astype(np.float64))
    narrow = push(program, v).astype(np.float64)
    return rows.apply(wide.T), np.abs(rows.apply((narrow - wide).T)).max(axis=1)


def _named(ties: list[NearTie]) -> str:
    listed = "; ".join(
        f"{tie.step.node.op_type} {tie.step.node.name!r}, "
        f"{counted(tie.count, 'unit')}, the nearest {tie.distance:.1e} from its kink where "
        f"rounding carries numbers {tie.doubt:.1e}"
        for tie in ties[:NAMED]
    )
    more = f" and {counted(len(ties) - NAMED, 'more node')}" if len(ties) > NAMED else ""
    return f"Within rounding of one: {listed}{more}"
