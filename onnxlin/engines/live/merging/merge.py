"""A stretch near the input merged into one map: its local Jacobians are made once for all rows.

Near the input there are many pixels and few channels, and a sweep takes every row through each of
them, layer by layer. An entry a few layers up sees only a small box of the input: what it sees is
made once, from the input on, in bands, and each band is multiplied with all rows (the chain rule:
``dF/dx += dF/dt dt/dx``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.engines.live.links import Link
from onnxlin.engines.live.merging.local import KEPT, Local
from onnxlin.engines.live.merging.stretch import Stretch, stretches
from onnxlin.engines.live.merging.strips import Run, Strips
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.pulls import Masked, Moved, Pull
from onnxlin.primitives import Array, Reshape, Transpose

Pulls = list[tuple[Link, list[tuple[str, Pull]]]]

# Rows of W below which it is not worth while to look.
FEW = 32
# How often a line of cotangents is read or written, and entries of them a second.
PASSES, ENTRIES = 3, 1.5e9
# A merge is taken where it is expected to be so many times faster.
SURE = 1.5
# Bytes of fresh memory that are touched in a second.
TOUCHED = 1e9


@dataclass(frozen=True, eq=False)
class Merged:
    """The adjoint of a whole stretch.

    Parameters
    ----------
    stretch : Stretch
    dtype : numpy.dtype
    kept : int
        Bytes of local Jacobians that are kept at once.
    columns : int array (entries of the root,), optional
        Column of W for every entry of the root, where nothing else is sent to it: then cotangents
        of the root are not held, and go to W.
    """

    stretch: Stretch
    dtype: np.dtype[Any]
    kept: int = KEPT
    columns: Array | None = None

    def __call__(self, G: Array, out: Array, *, fresh: bool) -> None:
        """Add to cotangents of the root what those of the last tensor send."""
        self.run(G, out, fresh=fresh)

    def run(self, G: Array, out: Array, *, fresh: bool) -> dict[str, Array]:
        """Do so, and return the shares of b of the nodes on the way.

        Where cotangents of the root go to W, ``out`` is W', ``(columns, K)``.
        """
        if fresh and self.columns is None:
            out[...] = 0
        run = Run(self.strips, G, out, len(self.local.nodes), self.columns)
        for band in self.local.bands():
            run(band)
        return dict(zip(self.local.nodes, run.shares, strict=True))

    def seconds(self, rows: int) -> float:
        """Estimate both: making local Jacobians, and the products with them."""
        return self.local.seconds + self.strips.seconds(rows)

    @property
    def bytes(self) -> int:
        """Bytes of local Jacobians that are there at once."""
        local = self.local
        return local.bytes + self.strips.box_bytes(self.dtype, local.count)

    @property
    def lines(self) -> int:
        """Lines of cotangents that are held beside those of both ends."""
        return self.strips.lines

    @cached_property
    def local(self) -> Local:
        """What is made once."""
        return Local(self.stretch, self.dtype, self.kept)

    @cached_property
    def strips(self) -> Strips:
        """How rows go through."""
        return Strips(self.local.last.shape, self.stretch.places[self.stretch.root])


def best(
    pulls: Pulls,
    places: Mapping[str, Places],
    inputs: Mapping[str, slice],
    outputs: Collection[str],
    *,
    dtype: np.dtype[Any],
    rows: int,
) -> Merged | None:
    """Find the stretch whose merging saves most for so many rows; None where none is worth it.

    Parameters
    ----------
    inputs : {input: columns of W}
    outputs : names of tensors
        That are asked for.
    """
    if rows < FEW:
        return None
    chain = [link for link, _ in reversed(pulls)]
    plain = {link.output: _plain(link, terms, places, rows) for link, terms in pulls}
    saved, found = 0.0, None
    for stretch in stretches(chain, places, outputs):
        if len(stretch.pieces) < 2:
            continue
        own = sum(plain[piece.link.output] for piece in stretch.pieces)
        merged = onto_columns(Merged(stretch, dtype), pulls, inputs, outputs)
        if merged.columns is not None:
            # Lines of the root are neither held, nor copied to W.
            size = len(places[stretch.root]) * rows
            own += PASSES * size / ENTRIES + size * dtype.itemsize / TOUCHED
        if own > saved:
            cost = SURE * merged.seconds(rows)
            if own - cost > saved:
                saved, found = own - cost, merged
    return found


def _plain(
    link: Link, terms: list[tuple[str, Pull]], places: Mapping[str, Places], rows: int
) -> float:
    """Seconds that a link takes by itself; what is handed on takes none."""
    if all(isinstance(s, Masked) or (isinstance(s, Moved) and s.same) for _, s in terms):
        return 0.0
    lines = PASSES * len(places[link.output]) * rows / ENTRIES
    return lines + sum(step.seconds(rows) for _, step in terms)


def merged_in(pulls: Pulls, merged: Merged) -> Pulls:
    """Put the one map in the place of all that are merged."""
    inside = {piece.link.output for piece in merged.stretch.pieces}
    if merged.columns is not None:
        inside.add(merged.stretch.root)
    found: Pulls = []
    for link, terms in pulls:
        if link.output == merged.stretch.target:
            whole = replace(link, terms=(), bias=None)
            found.append((whole, [(merged.stretch.root, merged)]))
        elif link.output not in inside:
            found.append((link, terms))
    return found


def onto_columns(
    merged: Merged, pulls: Pulls, inputs: Mapping[str, slice], outputs: Collection[str]
) -> Merged:
    """Have what is merged write into W, if its root is an input, or one in another order."""
    root = merged.stretch.root
    inside = {piece.link.output for piece in merged.stretch.pieces}
    others = [link for link, _ in pulls if link.output not in inside]
    read = {name for link in others for name, _ in link.terms}
    if root in read or root in outputs:
        return merged
    if root in inputs:
        index = np.arange(inputs[root].stop - inputs[root].start)
        return replace(merged, columns=index + inputs[root].start)
    link = next(link for link in others if link.output == root)
    if not link.charges and len(link.terms) == 1 and link.terms[0][0] in inputs:
        name, op = link.terms[0]
        if isinstance(op, Transpose | Reshape):
            at = np.arange(inputs[name].stop - inputs[name].start, dtype=np.float64)
            index = op.matvec(at.reshape(1, *op.in_shape)).ravel().astype(np.int64)
            return replace(merged, columns=index + inputs[name].start)
    return merged
