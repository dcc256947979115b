"""What a run may cost, found before it: rounds of loops, and entries of the tensors that are made.

Only what follows from constants and from what is fed is known. A loop whose body decides when it
ends, or a shape that other values decide, is known once those have been computed, or never.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx

from onnxlin import limits
from onnxlin.errors import ModelError
from onnxlin.graph import Array
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.graph.tensors import to_array
from onnxlin.operators.families import ends_itself
from onnxlin.operators.growth import entries, held, loops, sizes_after, told

Known = Mapping[str, Array]

_SMALL = 2**16
"""Entries of a constant that may say how often or how large: beyond that it is data."""


@dataclass(frozen=True, eq=False)
class Asker:
    """A node that may ask for much.

    Parameters
    ----------
    node : onnx.NodeProto
    told : tuple of str
        The operands whose values say for how much.
    times : tuple of str
        Trip counts of the loops around it.
    constants : {tensor: array}
        Those of all that it reads that are constants.
    inner : bool
        Whether it stands in a subgraph.
    """

    node: onnx.NodeProto
    told: tuple[str, ...]
    times: tuple[str, ...]
    constants: Known
    inner: bool

    @property
    def called(self) -> str:
        """What it is, to begin a message with."""
        own = self.node.name or next(iter(self.node.output), "")
        return f"{self.node.op_type} at node {own!r}"

    def missing(self, known: Known) -> str | None:
        """The first tensor that must be known beside these to tell; None if there is none."""
        return next(iter(self.unknown(known)), None)

    def unknown(self, known: Known) -> tuple[str, ...]:
        """All of them."""
        names = (*self.told, *self.times)
        return tuple(n for n in names if self._value(n, known) is None)

    def hold(self, known: Known, sizes: Mapping[str, int]) -> None:
        """Hold what it asks for, as far as these values tell, to the limits.

        Raises
        ------
        LimitError
        ModelError
            A loop has no trip count, or many, where it takes one.
        """
        if loops(self.node):
            self._hold_rounds(known)
        elif all(self._value(name, known) is not None for name in self.told):
            values = [self._value(name, known) for name in self.node.input]
            own = [
                value.size if value is not None else sizes.get(name, 1)
                for name, value in zip(self.node.input, values, strict=True)
            ]
            made = entries(self.node, values, own)
            limits.hold("entries", made, f"{self.called} makes a tensor of {made:,} entries")

    def rounds(self, known: Known) -> int:
        """How often a loop goes round at least, by the trip counts that are known."""
        counts = (self._value(name, known) for name in (*self.times, *self.told))
        known_counts = (_count(n) for n in counts if n is not None and n.size == 1)
        return min(prod(known_counts), limits.ENDLESS)

    def _value(self, name: str, known: Known) -> Array | None:
        return known.get(name, self.constants.get(name))

    def _hold_rounds(self, known: Known) -> None:
        for name in self.told:
            count = self._value(name, known)
            if count is not None and count.size != 1:  # onnxruntime reads one beyond an empty one
                raise ModelError(f"{self.called} has {count.size} trip counts in {name!r}, not one")
        if ends_itself(self.node):
            return
        if not self.told and self._goes_on(known):
            what = f"{self.called} goes round for ever: no trip count and no condition ends it"
            limits.hold("trips", limits.ENDLESS, what)
        rounds = self.rounds(known)
        around = " with the loops around it" if self.times else ""
        limits.hold("trips", rounds, f"{self.called} asks for {rounds:,} rounds{around}")

    def _goes_on(self, known: Known) -> bool:
        """Whether a loop that has no trip count begins, as far as is known; it never ends then."""
        given = self.node.input[1] if len(self.node.input) > 1 else ""
        if not given:
            return True
        condition = self._value(given, known)
        return condition is not None and condition.size == 1 and bool(condition.item())


def _count(value: Array) -> int:
    """Rounds by a trip count; none by one that is no number."""
    number = value.item()
    return max(int(number), 0) if np.issubdtype(value.dtype, np.integer) else 0


def askers(nodes: Iterable[onnx.NodeProto], constants: Known) -> tuple[Asker, ...]:
    """Find the nodes that may ask for much, in order: one walk, subgraphs included."""
    small = {name: value for name, value in constants.items() if value.size <= _SMALL}
    return tuple(_walk(nodes, (), ChainMap(small)))


def hold_constants(nodes: Iterable[onnx.NodeProto], constants: Known) -> tuple[Asker, ...]:
    """Hold what constants alone tell; return the nodes that ask for what else is fed.

    Raises
    ------
    LimitError
    """
    found = askers(nodes, constants)
    for asker in found:
        asker.hold({}, {})
    return tuple(asker for asker in found if asker.missing({}) is not None)


def grown(loop: Asker, known: Known, sizes: Mapping[str, int]) -> int:
    """Entries of the largest tensor that a loop carries, after as many rounds as it may go."""
    (body,) = subgraphs(loop.node)
    state = [sizes.get(name, 1) for name in loop.node.input[2:]]
    totals = [max(state, default=1)]
    for _ in range(3):
        inside = dict(zip((i.name for i in body.input[2:]), state, strict=False))
        sizes_after(body.node, inside)
        state = [inside.get(o.name, 1) for o in body.output[1 : 1 + len(state)]]
        totals.append(max(state, default=1))
    rounds, (first, second, third) = loop.rounds(known), np.diff(totals).tolist()
    if third > second > first >= 0:  # it doubles, say: nobody need count how often
        return limits.ENDLESS if rounds > 64 else totals[-1] * 2**rounds
    return min(int(totals[0] + max(third, 0) * rounds), limits.ENDLESS)


def _walk(
    nodes: Iterable[onnx.NodeProto],
    times: tuple[str, ...],
    constants: ChainMap[str, Array],
    inner: bool = False,
) -> Iterator[Asker]:
    for node in nodes:
        value = held(node)
        if value is not None:
            _learn(node.output[0], value, constants)
        own = told(node)
        if own is not None:
            names = {*own, *times, *node.input}
            known = {name: constants[name] for name in names if name in constants}
            yield Asker(node, own, times, known, inner)
        for graph in subgraphs(node):
            inside = constants.new_child()
            for tensor in graph.initializer:
                _keep(tensor.name, tensor, inside)
            around = (*times, *(own or ())) if loops(node) else times
            yield from _walk(graph.node, around, inside, inner=True)


def _learn(name: str, value: onnx.AttributeProto, constants: MutableMapping[str, Array]) -> None:
    if value.HasField("t"):
        _keep(name, value.t, constants)
    else:
        constants[name] = np.asarray(onnx.helper.get_attribute_value(value))


def _keep(name: str, tensor: onnx.TensorProto, constants: MutableMapping[str, Array]) -> None:
    beside = tensor.data_location == onnx.TensorProto.EXTERNAL
    if not beside and prod(tensor.dims) <= _SMALL:
        constants[name] = to_array(tensor)
