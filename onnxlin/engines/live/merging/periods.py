"""How many columns of the root the boxes of each tensor of a stretch go round."""

from __future__ import annotations

from onnxlin.engines.live.merging.stretch import Stretch
from onnxlin.primitives import Conv

# Products for an entry, up to which they cost no more than copying it into wider boxes would.
FEW = 64


def periods(stretch: Stretch) -> dict[str, int]:
    """Columns of a circle for each tensor: what its pixels see, and what is cheap to share."""
    pieces, cone = stretch.pieces, stretch.cone
    found = {piece.link.output: piece.cone.size[1] for piece in pieces}
    found[stretch.root] = 1
    # Blocks of as many columns as pixels of the end move on by must not be cut by a circle.
    found[stretch.target] = -(-cone.size[1] // cone.step[1]) * cone.step[1]
    cheap = _cheap(stretch)
    while True:
        before = dict(found)
        for piece in reversed(pieces):
            own = piece.link.output
            for read in piece.reads:
                grows = isinstance(read.op, Conv) and read.op.weight.shape[3] > 1
                if not grows or read.name in cheap:
                    found[read.name] = max(found[read.name], found[own])
                found[own] = max(found[own], found[read.name])
        if found == before:
            return found


def _cheap(stretch: Stretch) -> set[str]:
    """Tensors that take few products from the root."""
    found = {stretch.root}
    for piece in stretch.pieces:
        few = all(
            read.name == stretch.root and read.op.weight[0].size <= FEW
            if isinstance(read.op, Conv)
            else read.name in found
            for read in piece.reads
        )
        if few:
            found.add(piece.link.output)
    return found
