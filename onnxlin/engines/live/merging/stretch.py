"""Stretches of a chain that can be merged: everything that leads from one tensor to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from onnxlin.engines.live.links import Link
from onnxlin.engines.live.merging.cones import (
    POINT,
    Cone,
    Span,
    as_image,
    on_images,
    placed,
    span,
    unchanged,
)
from onnxlin.engines.live.places import Places
from onnxlin.primitives import LinearMap

# Entries of the earlier tensor that a pixel of the later one sees, up to which it is looked at.
MOST = 3000


@dataclass(frozen=True, eq=False)
class Read:
    """A map of a stretch: which tensor it reads, and which pixels of it; whether it changes it."""

    name: str
    op: LinearMap
    span: Span
    same: bool


@dataclass(frozen=True, eq=False)
class Piece:
    """A link of a stretch, its tensors seen as images."""

    link: Link
    reads: tuple[Read, ...]
    cone: Cone


@dataclass(frozen=True, eq=False)
class Stretch:
    """All that leads from one tensor to another, and nothing that leads out of it on the way.

    Parameters
    ----------
    root : str
        The earlier tensor.
    pieces : tuple of Piece
        In order; the last one makes the later tensor.
    places : {tensor: Places}
        Of those between, as images.
    """

    root: str
    pieces: tuple[Piece, ...]
    places: Mapping[str, Places]

    @property
    def target(self) -> str:
        """The later tensor."""
        return self.pieces[-1].link.output

    @property
    def cone(self) -> Cone:
        """What its pixels see of the root."""
        return self.pieces[-1].cone


def stretches(
    chain: Sequence[Link], places: Mapping[str, Places], outputs: Collection[str]
) -> Iterator[Stretch]:
    """Find them all, in the order of their ends."""
    images = {name: placed(p) for name, p in places.items() if p.pixels and as_image(p.shape)}
    readers = defaultdict(set)
    for link in chain:
        for name, _ in link.terms:
            if link.output in places:
                readers[name].add(link.output)
    root_of: dict[str, str] = {}
    pieces: dict[str, Piece] = {}
    for link in chain:
        if link.output not in images:
            continue
        found = _piece(link, places, images, root_of, pieces)
        if found is None:
            continue
        root_of[link.output] = root_of.get(found.reads[0].name, found.reads[0].name)
        pieces[link.output] = found
        size = prod(found.cone.size) * places[root_of[link.output]].shape[1]
        if size > MOST:  # no use in going on from here
            del pieces[link.output], root_of[link.output]
            continue
        between = _between(link.output, pieces)
        names = {piece.link.output for piece in between}
        inner = names - {link.output}
        if all(readers[name] <= names and name not in outputs for name in inner):
            root = root_of[link.output]
            kept = {name: images[name] for name in (*names, root)}
            yield Stretch(root, tuple(between), kept)


def _piece(
    link: Link,
    places: Mapping[str, Places],
    images: Mapping[str, Places],
    root_of: Mapping[str, str],
    pieces: Mapping[str, Piece],
) -> Piece | None:
    """A link as a piece, if all that it reads is seen from one root."""
    if link.others:  # what was pushed on to it differs by place
        return None
    reads, cone = [], None
    for name, op in link.terms:
        if name not in places:
            continue
        image = on_images(op)
        if image is None or name not in images:
            return None
        how = span(image, images[name], images[link.output])
        own = how.seen(pieces[name].cone if name in pieces else POINT)
        cone = own if cone is None else cone.joined(own)
        if cone is None:
            return None
        same = unchanged(image, images[name], images[link.output])
        reads.append(Read(name, image, how, same))
    roots = {root_of.get(read.name, read.name) for read in reads}
    return Piece(link, tuple(reads), cone) if cone is not None and len(roots) == 1 else None


def _between(end: str, pieces: dict[str, Piece]) -> list[Piece]:
    """The pieces that lead to a tensor, in order."""
    wanted = {end}
    for name in reversed(pieces):
        if name in wanted:
            wanted |= {read.name for read in pieces[name].reads}
    return [piece for name, piece in pieces.items() if name in wanted]
