"""What a sweep leaves behind, link by link and at its end: shares of b, and rows of W."""

from __future__ import annotations

import numpy as np

from onnxlin.engines.live.gemm import alone
from onnxlin.engines.live.links import Link
from onnxlin.engines.live.merging import Merged
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.pulls import Pull
from onnxlin.engines.live.threads import spread
from onnxlin.primitives import Array
from onnxlin.program.sweep import add_to


def put(out: Array, lines: Array, G: Array, *, add: bool) -> None:
    """Put lines where they belong, or add them to what is there."""

    def some(part: slice) -> None:
        if add:
            out[lines[part]] += G[part]
        else:
            out[lines[part]] = G[part]

    spread(some, len(lines), G.shape[1] * G.itemsize)


def copied(lines: Array, out: Array) -> None:
    """Copy lines, by several threads."""

    def some(part: slice) -> None:
        out[part] = lines[part]

    spread(some, len(lines), lines.shape[1] * lines.itemsize)


def weighed(bias: Array, G: Array) -> Array:
    """``bias @ G`` in float64; lines whose bias is 0 are left out.

    What a few hundred lines bring in is added up in their own precision, which has no more than
    their own rounding: to bring them all to float64 takes three times as long.
    """
    (kept,) = np.nonzero(bias)
    exact = bias.astype(G.dtype)
    found: dict[int, Array] = {}

    def some(part: slice) -> None:
        lines = kept[part]
        taken = G[part] if len(kept) == len(G) else G.take(lines, axis=0)
        found[part.start] = exact[lines] @ taken

    with alone():
        spread(some, len(kept), G.shape[1] * G.itemsize)
    return sum((found[start] for start in sorted(found)), start=np.zeros(G.shape[1]))


def charge(link: Link, lines: Places, G: Array, shares: dict[str, Array]) -> None:
    """Weigh cotangents with the biases that are added where they arrive."""
    for node, bias in link.charges:
        flat = np.broadcast_to(bias, link.shape).reshape(-1)[lines.flat]
        add_to(shares, node, weighed(flat, G))


def sent(step: Pull, G: Array, out: Array, shares: dict[str, Array], *, fresh: bool) -> None:
    """Take cotangents through a map; what is merged has shares of b beside."""
    if not isinstance(step, Merged):
        step(G, out, fresh=fresh)
        return
    for node, share in step.run(G, out, fresh=fresh).items():
        add_to(shares, node, share)
