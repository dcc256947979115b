"""How the inputs of a map are looked at: as pictures, series, tokens or tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array, Graph
from onnxlin.graph.picture import Geometry, guess_geometry
from onnxlin.inputs import Given, Preprocessing
from onnxlin.primitives import Shape

Kind = Literal["picture", "series", "tokens", "table"]

SHORTEST_SERIES, MOST_CHANNELS = 8, 12
# Integer inputs that say something about the tokens, and are not the tokens.
ABOUT_TOKENS = ("type", "segment", "mask", "position")


@dataclass(frozen=True, eq=False)
class Part:
    """One input of a map, and what it is looked at as.

    Parameters
    ----------
    tensor : str
    columns : slice
        Of W.
    shape : tuple of int
    kind : {"picture", "series", "tokens", "table"}
    geometry : Geometry, optional
        Of a picture.
    pixels : array (height, width, 1 or 3) of uint8, optional
        The picture as fed.
    names : tuple of str
        Of the features where the file had them, or of the tokens.
    lead : str
        What stands before the place of a feature without a name.
    last : bool
        Whether the channels of a series lie on its last axis.
    told_by : str
        The model's input whose ids the tokens are named by.
    prepared : Preprocessing, optional
        What made the tensor of ``pixels``.
    """

    tensor: str
    columns: slice
    shape: Shape
    kind: Kind
    geometry: Geometry | None = None
    pixels: Array | None = None
    names: tuple[str, ...] = ()
    lead: str = "x"
    last: bool = False
    told_by: str = ""
    prepared: Preprocessing | None = None

    def series(self, values: Array) -> Array:
        """Read the entries of a series: ``(n,) -> (channels, time)``."""
        flat = values.reshape(self.shape[-2:] if len(self.shape) > 1 else (1, -1))
        return flat.T if self.last else flat

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what `grouped` gives; entries without a name of their own go by their place."""
        if self.kind == "tokens":
            return tuple(f"{i}: {name}" for i, name in enumerate(self.names))
        # A batch axis of 1 says nothing.
        axes = self.shape[1:] if len(self.shape) > 1 and self.shape[0] == 1 else self.shape
        placed = (f"{self.lead}[{','.join(map(str, at))}]" for at in np.ndindex(axes))
        return self.names or (tuple(placed) if axes else (self.tensor,))

    def grouped(self, values: Array) -> Array:
        """Add up what belongs together: ``(..., n) -> (..., tokens)``; else as it is."""
        if self.kind != "tokens":
            return values
        count = len(self.names)
        found: Array = values.reshape(*values.shape[:-1], count, -1).sum(axis=-1)
        return found


def parts(
    m: AffineMap, given: Given, graph: Graph, vocabulary: Sequence[str] = ()
) -> tuple[Part, ...]:
    """Choose how every input of a map is looked at.

    Parameters
    ----------
    m : AffineMap
    given : Given
        The instance, with what its file knew: pixels, names of features.
    graph : Graph
        Of the model: which integers an embedding was looked up by.
    vocabulary : sequence of str
        Names of tokens, by their index.
    """
    tokens = _tokens(m, given, graph)
    return tuple(
        _token_part(m, name, tokens[name], given, vocabulary)
        if name in tokens
        else _part(m, name, given)
        for name in m.inputs
    )


def seen(part: Part, value: Array) -> Array:
    """Return the picture as fed, or the tensor stretched to 0 to 255 where there was none.

    ``(height, width, 1 or 3)`` of uint8.
    """
    if part.pixels is not None:
        return part.pixels
    assert part.geometry is not None
    planes = np.moveaxis(part.geometry.to_picture(value), 0, -1).astype(np.float64)
    low, high = (planes.min(), planes.max()) if planes.size else (0.0, 0.0)
    share = (planes - low) / (high - low) if high > low else np.zeros_like(planes)
    found: Array = np.rint(255 * share).astype(np.uint8)
    return found


def _part(m: AffineMap, name: str, given: Given) -> Part:
    shape, columns = m.inputs[name].shape, m.columns_of[name]
    own = name == given.tensor
    geometry = given.geometry if own else guess_geometry(shape)
    known = given.names if len(m.inputs) == 1 and len(given.names) == len(m.x) else ()
    lead = f"{name} " if len(m.inputs) > 1 else "x"
    if geometry is not None:
        pixels, prepared = (given.pixels, given.prepared) if own else (None, None)
        return Part(
            name, columns, shape, "picture", geometry, pixels, known, lead, prepared=prepared
        )
    last = _series(shape)
    if last is not None and not (known and len(shape) < 3):
        return Part(name, columns, shape, "series", names=known, lead=lead, last=last)
    return Part(name, columns, shape, "table", names=known, lead=lead)


def _series(shape: Shape) -> bool | None:
    """Whether the channels are last in (1, channels, time) or (1, time, channels); else None."""
    if len(shape) == 1:
        return False if shape[0] >= SHORTEST_SERIES else None
    if len(shape) != 3 or shape[0] != 1:
        return None
    channels, time = sorted(shape[1:])
    if not 1 <= channels <= MOST_CHANNELS or time < SHORTEST_SERIES:
        return None
    return shape[2] < shape[1]


def _tokens(m: AffineMap, given: Given, graph: Graph) -> dict[str, str]:
    """Inputs of the map that embed integers, and the model's input whose ids name the tokens.

    What is looked up by types or places is named by the tokens that have them.
    """
    own, about = dict[str, str](), dict[str, str]()
    for name, value in m.inputs.items():
        if name in graph.inputs or value.ndim < 2 or value.shape[-1] < 2:
            continue
        count = prod(value.shape[:-1])
        ids = [
            feed for feed in _sources(graph, name)
            if feed in given.feeds and given.feeds[feed].size == count
            and given.feeds[feed].dtype.kind in "iu"
        ]  # fmt: skip
        if ids and count:
            themselves = [feed for feed in ids if not _is_about(feed)]
            (own if themselves else about)[name] = (themselves or ids)[0]
    for name, feed in about.items():
        beside = [ids for ids in own.values() if given.feeds[ids].size == given.feeds[feed].size]
        about[name] = (beside or [feed])[0]
    return own | about


def _sources(graph: Graph, tensor: str) -> list[str]:
    """Inputs of the graph that a tensor is made from, in their order."""
    seen, waiting = {tensor}, [tensor]
    while waiting:
        node = graph.producer.get(waiting.pop())
        fresh = [] if node is None else [name for name in node.reads if name not in seen]
        seen.update(fresh)
        waiting += fresh
    return [name for name in graph.inputs if name in seen]


def _is_about(name: str) -> bool:
    """Whether integers say something about tokens, and are not the tokens, by their name."""
    return any(word in name.lower() for word in ABOUT_TOKENS)


def _token_part(
    m: AffineMap, name: str, feed: str, given: Given, vocabulary: Sequence[str]
) -> Part:
    names = tuple(word_of(vocabulary, i) for i in given.feeds[feed].ravel().tolist())
    shape = m.inputs[name].shape
    return Part(name, m.columns_of[name], shape, "tokens", names=names, told_by=feed)


def word_of(vocabulary: Sequence[str], token: int) -> str:
    """Name a token: by its text, or by its id where it has none."""
    return (vocabulary[token] if 0 <= token < len(vocabulary) else "") or str(token)
