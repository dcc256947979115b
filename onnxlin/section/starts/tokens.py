"""What a person means by the input of a model of whole numbers: tokens, positions, types, caches.

Tables are looked up by token ids and by categories, and, in transformers, by positions and by
types (segments) of tokens. Those of positions and types are told apart by two things that both must
hold. What they look up is added to what others do; and a name says so, that of the table or of the
input that holds the ids, or which rows follows from comparisons, counts and masks alone. What goes
into nothing but products, as cosines and sines of rotary positions do, or scores of a softmax, as
relative positions, is none of them. Whatever remains open counts as tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnxlin.graph import Graph, Node
from onnxlin.operators import lookups as ops
from onnxlin.operators.masks import enters_softmax, readers_of
from onnxlin.section.starts.beside import beside
from onnxlin.section.starts.caches import caches
from onnxlin.section.starts.trail import LookUp, Trail

TOKENS, POSITIONS, TYPES, CACHES = KINDS = ("tokens", "positions", "types", "caches")

_WORDS = re.compile(
    r"(?P<types>token_?types?|segment|type_?ids?|type_?emb)"
    r"|(?P<positions>posit|pos_?(?:emb|enc|ids?)|wpe|rotary|mask)"
    r"|(?P<tokens>tok|word|wte|vocab|input_?ids)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Starts:
    """Where a map may start, by kind.

    Parameters
    ----------
    kinds : {kind: tuple of str}
        Tensors that were looked up, none of which depends on another, and inputs that are caches.
    ids : tuple of str
        The inputs whose entries say which rows the tokens are.
    added : bool
        Whether tokens of different inputs are added up: some of these may be positions or types.
    folded : tuple of str
        Initialisers that are added to the tokens, row by row: what an exporter made of positions.
    """

    kinds: dict[str, tuple[str, ...]]
    ids: tuple[str, ...] = ()
    added: bool = False
    folded: tuple[str, ...] = ()

    @property
    def best(self) -> tuple[str, ...]:
        """Tokens; where there are none, whatever else is looked up."""
        return self.of(TOKENS) or self.of(POSITIONS, TYPES)

    def of(self, *kinds: str) -> tuple[str, ...]:
        """The tensors of some kinds."""
        return tuple(name for kind in kinds for name in self.kinds[kind])


def find_starts(graph: Graph, sources: Iterable[str] | None = None) -> Starts:
    """Find what is looked up by the inputs, or other sources, and which inputs are caches."""
    trail = Trail(graph, tuple(graph.inputs if sources is None else sources))
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    kinds[CACHES] = caches(graph)
    if not trail.found:
        return Starts({kind: tuple(names) for kind, names in kinds.items()})
    look = _Look(trail, readers_of(graph))
    tokens = list[int]()
    for k, each in trail.found.items():
        kind = look.kind(k, each)
        if kind is not None:
            kinds[kind].append(each.tensor)
        if kind == TOKENS:
            tokens.append(k)
    found = beside(trail, tokens)
    for name in found.tensors:
        said = look.said(name) or (TYPES if found.same(name) else POSITIONS)
        kinds[TYPES if said == TYPES else POSITIONS].append(name)
    bits = 0
    for k in tokens:
        bits |= trail.found[k].ids
    return Starts(
        {kind: tuple(dict.fromkeys(names)) for kind, names in kinds.items()},
        tuple(trail.names(bits)),
        found.added and len({trail.found[k].ids for k in tokens}) > 1,
        found.folded,
    )


@dataclass(frozen=True, eq=False)
class _Look:
    """What becomes of look-ups, and what their names say."""

    trail: Trail
    readers: dict[str, list[Node]]

    def kind(self, k: int, each: LookUp) -> str | None:
        """Kind of a look-up; None of those that are no input: rotary and relative positions."""
        ids = self.trail.names(each.ids)
        said = self.said(each.table) or next(filter(None, map(_last_word, ids)), None)
        said = said or self.said(each.tensor) or (TOKENS if ids else POSITIONS)
        if said == TOKENS:
            return TOKENS
        ends = list(self._ends(k, each.tensor))
        if ends and all(meets and node.op_type in ops.MULTIPLIES for node, meets in ends):
            return None
        if ends and all(meets and enters_softmax(self.readers, node) for node, meets in ends):
            return None
        return said if self.is_added(k) else TOKENS

    def said(self, tensor: str) -> str | None:
        """The kind that the name of a tensor says, or those of the weights that it is made of."""
        seen, waiting = {tensor}, [tensor]
        while waiting:
            name = waiting.pop()
            kind = _last_word(name)
            if kind is not None:
                return kind
            node = self.trail.graph.producer.get(name)
            if node is not None and name not in self.trail.by:
                tables = [n for n in node.reads if n not in seen and n != ops.indices_of(node)]
                seen.update(tables)
                waiting += tables
        return None

    def is_added(self, k: int) -> bool:
        """Whether a look-up is added to what depends on another one, other than as a score."""
        return any(
            meets and node.op_type in ops.ADDS and not enters_softmax(self.readers, node)
            for node, meets in self._ends(k, self.trail.made[k].tensor)
        )

    def _ends(self, k: int, tensor: str) -> Iterator[tuple[Node, bool]]:
        """Nodes that make something else of a look-up, and if they read another one besides."""
        seen, waiting = {tensor}, [tensor]
        while waiting:
            name = waiting.pop()
            for node in self.readers.get(name, ()):
                meets = bool(self._behind(node) & ~(1 << k))
                if meets or node.op_type not in ops.CARRIES:
                    yield node, meets
                else:
                    waiting += [n for n in node.writes if n not in seen]
                    seen.update(node.writes)

    def _behind(self, node: Node) -> int:
        bits = 0
        for name in node.reads:
            bits |= self.trail.behind.get(name, 0)
        return bits


def is_about_tokens(name: str) -> bool:
    """Whether the name of an input speaks of positions, types or masks, not of data."""
    return _last_word(name) in (POSITIONS, TYPES)


def _last_word(text: str) -> str | None:
    """The kind that the last telling word of a name stands for."""
    kind = None
    for found in _WORDS.finditer(text):
        kind = found.lastgroup
    return kind
