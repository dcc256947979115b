"""Names of the outputs: classes, places, or tokens of a vocabulary at positions of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxlin.errors import OptionError, RowsError
from onnxlin.graph import Array, Graph
from onnxlin.graph.told import CLASSES, CLASSES_FROM, named_in
from onnxlin.inputs.told import metadata
from onnxlin.linearizer import Linearizer
from onnxlin.operators.lookups import indices_of
from onnxlin.texts import shown, typed


@dataclass(frozen=True)
class Scores:
    """An output that scores every token of a vocabulary at positions of a text.

    Parameters
    ----------
    positions : range
        Positions of the text that it has scores for.
    size : int
        How many tokens it scores.
    words : sequence of str
        Their names, as far as they are known.
    at : int
        The position that is asked about.
    """

    positions: range
    size: int
    words: Sequence[str]
    at: int

    @property
    def span(self) -> slice:
        """Outputs at the position that is asked about."""
        first = self.positions.index(self.at) * self.size
        return slice(first, first + self.size)

    def __getitem__(self, index: int) -> str:
        row, token = divmod(index, self.size)
        word = self.words[token] if token < len(self.words) else ""
        return f"{repr(word) if word else f'token {token}'} at {self.positions[row]}"

    def find(self, text: str, what: str) -> int:
        """Index of the output of a token, named by its id or its text.

        Of a word with a space before it, which most texts need, and without, it is the first.
        """
        if text.isdecimal():
            if int(text) >= self.size:
                raise RowsError(f"{what} {text}: tokens have ids of 0 to {self.size - 1}.")
            return self.span.start + int(text)
        for asked in (f" {text}", text, typed(text)):
            if asked in self.words[: self.size]:
                return self.span.start + self.words.index(asked)
        known = "a token is a piece of a word: give its id, or another spelling"
        if not self.words:
            known = "no vocabulary is known: give --vocabulary tokenizer.json, or its id"
        raise OptionError(f"{what} {text!r} is no token; {known}.")


def scores_of(
    lin: Linearizer,
    feeds: Mapping[str, Array],
    outputs: Mapping[str, Array],
    words: Sequence[str],
    position: int | None,
) -> Scores | None:
    """Tell whether the output scores tokens: at every token of the text, or at its last.

    It does if it has as many entries a token as the vocabulary, or as a table that the model looks
    tokens up in.

    Parameters
    ----------
    position : int, optional
        Of the text, from its end if negative; by default the last.

    Raises
    ------
    OptionError
        There is no such position, or there are none.
    """
    found = None
    if len(outputs) == 1:
        (value,) = outputs.values()
        lengths = {v.shape[-1] for v in feeds.values() if v.dtype.kind in "iu" and v.ndim}
        if value.ndim > 1 and value.size == math.prod(value.shape[-2:]):
            count, size = value.shape[-2:]
            length = count if count in lengths else max(lengths, default=0)
            if lengths and count in (1, length) and _is_vocabulary(lin.graph, size, words):
                found = range(length - count, length)
    if found is None:
        if position is not None:
            raise OptionError("--position is about scores of tokens, which these outputs are not.")
        return None
    at = found[-1] if position is None else position + (position < 0) * found.stop
    if at not in found:
        raise OptionError(f"--position {position}: scores are at {found[0]} to {found[-1]}.")
    return Scores(found, size, words, at)


def _is_vocabulary(graph: Graph, size: int, words: Sequence[str]) -> bool:
    """Whether so many outputs are one a token; files leave room for some more tokens."""
    if words:
        return len(words) <= size <= len(words) + max(len(words) // 8, 64)
    tables = {
        name
        for node in graph.nodes
        if (index := indices_of(node)) is not None
        for name in {*node.reads} - {index}
    }
    return any(graph.initialisers[n].shape[:1] == (size,) for n in tables & set(graph.initialisers))


@dataclass(frozen=True)
class Labels:
    """Names of the outputs.

    Parameters
    ----------
    shapes : {output name: shape}
    classes : tuple of str
        Of all outputs, or empty.
    scores : Scores, optional
        What the outputs are if they are scores of tokens.
    """

    shapes: Mapping[str, tuple[int, ...]]
    classes: tuple[str, ...] = ()
    scores: Scores | None = None

    @classmethod
    def of(
        cls, lin: Linearizer, outputs: Mapping[str, Array], scores: Scores | None = None
    ) -> Labels:
        """Take the class names from the model's metadata, if there are as many as outputs."""
        shapes = {name: value.shape for name, value in outputs.items()}
        found = named_in(metadata(lin.graph), CLASSES)
        size = sum(map(math.prod, shapes.values()))
        fits, asked = len(found) == size, metadata(lin.graph).get(CLASSES_FROM)
        if not fits and asked is not None:
            raise OptionError(f"--classes {asked}: {len(found)} names for {size} outputs.")
        return cls(shapes, found if fits else (), scores)

    @property
    def span(self) -> slice:
        """Outputs that stand against each other: all, or the scores at one position."""
        return slice(0, None) if self.scores is None else self.scores.span

    def __getitem__(self, index: int) -> str:
        if self.scores is not None:
            return self.scores[index]
        if self.classes:
            return self.classes[index]
        if len(self.shapes) == 1 and self.vector:
            return str(index)
        for name, shape in self.shapes.items():
            if index < math.prod(shape):
                at = ",".join(str(i) for i in np.unravel_index(index, shape))
                return f"{name}[{at}]" if shape else name
            index -= math.prod(shape)
        raise IndexError(index)

    @property
    def vector(self) -> bool:
        """Whether the outputs are one vector, so that they may be classes."""
        return len(self.shapes) == 1 and all(
            sum(n > 1 for n in shape) <= 1 for shape in self.shapes.values()
        )

    def find(self, text: str, size: int, what: str = "--class") -> int:
        """Index of an output named by its index or its class name; ``what`` was asked so."""
        if self.scores is not None:
            return self.scores.find(text, what)
        if text.lstrip("-").isdecimal():
            index = int(text)
            if not -size <= index < size:
                raise RowsError(f"{what} {text}: the map has {size} outputs, 0 to {size - 1}.")
            return index % size
        lowered = [name.lower() for name in self.classes]
        for asked in (text.lower(), typed(text).lower()):
            if asked in lowered:
                return lowered.index(asked)
        known = (
            ", ".join(map(shown, self.classes[:20]))
            or "none: the model's metadata names no classes"
        )
        raise OptionError(f"{what} {text!r} is no index and no class name. Known: {known}.")
