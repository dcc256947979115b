"""The part of a graph in which patterns are looked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from functools import cached_property

import numpy as np
import onnx

from onnxlin.graph import Array, Graph, Node
from onnxlin.operators.families import COPIES, LAYOUT
from onnxlin.operators.named import named

SCALED = named("Identity Cast Neg")
"""The first input, or minus it."""

BESIDE = named("Cast Identity")
"""What exporters put in between without a change of meaning."""

FAR = 32
"""Nodes that are gone back over in search of one: exporters write fewer, a hostile file may not."""

_HOLDS = ("value", "value_float", "value_floats", "value_int", "value_ints")


class Part:
    """Nodes between two ends, and which tensors x moves there.

    Parameters
    ----------
    graph : Graph
    nodes : sequence of Node
    ends : (inputs, outputs)
        Tensors. Nothing before the inputs is looked at; the outputs are read by somebody else.
    moving : set of str
        Tensors that depend on the inputs.
    carriers : set of str
        Those of them that may hold numbers as integers: no pattern goes through these.
    """

    def __init__(
        self,
        graph: Graph,
        nodes: Sequence[Node],
        ends: tuple[Collection[str], Collection[str]],
        moving: Set[str],
        carriers: Set[str] = frozenset(),
    ) -> None:
        self.graph, self.nodes, self.moving = graph, nodes, moving
        self.outputs, first = frozenset(ends[1]), frozenset(ends[0])
        self._carriers = carriers
        self.makers = {o: node for node in nodes for o in node.writes if o not in first}

    @cached_property
    def _readers(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.reads:
                found.setdefault(name, []).append(node)
        return found

    def readers(self, name: str) -> list[Node]:
        """Nodes that read a tensor; one that reads it twice stands here twice."""
        return self._readers.get(name, [])

    def products(self, *op_types: str) -> Iterator[Node]:
        """Nodes of these operators whose two operands both depend on x."""
        for node in self.nodes:
            whole = not self._carriers.isdisjoint(node.inputs)
            own = node.op_type in op_types and not (node.domain or whole)
            if own and self.moved(node) == [0, 1]:
                yield node

    def maker(self, name: str) -> Node | None:
        """Node of a standard operator that makes a tensor; None where there is none."""
        node = self.makers.get(name)
        if node is None or node.domain or node.implicit or name in self._carriers:
            return None
        return node

    def made_by(self, name: str, *op_types: str) -> Node | None:
        """Return the maker of a tensor, behind casts, if it is one of these operators."""
        node = self.maker(self.behind(name))
        return node if node is not None and node.op_type in op_types else None

    def behind(self, name: str) -> str:
        """Step back over casts and copies."""
        return self._back(name, BESIDE)

    def laid_out(self, name: str) -> str:
        """Step back over what only copies entries, or lays them out otherwise."""
        return self._back(name, LAYOUT | COPIES)

    def _back(self, name: str, op_types: Set[str]) -> str:
        for _ in range(FAR):
            node = self.maker(name)
            if node is None or node.op_type not in op_types:
                break
            name = node.inputs[0]
        return name

    def same(self, a: str, b: str) -> bool:
        """Whether two tensors are one, casts aside."""
        return self.behind(a) == self.behind(b)

    def is_read_only_by(self, name: str, count: int) -> bool:
        """Whether a tensor has so many readers, and none outside."""
        return len(self.readers(name)) == count and name not in self.outputs

    def moved(self, node: Node) -> list[int]:
        """Positions of the inputs that depend on x."""
        return [i for i, name in enumerate(node.inputs) if name in self.moving]

    def chain(self, name: str) -> list[str]:
        """The tensor, and those that it is a multiple of by what does not depend on x."""
        found = [name]
        while len(found) < FAR and (before := self._scaled(found[-1])) is not None:
            found.append(before)
        return found

    def _scaled(self, name: str) -> str | None:
        node = self.maker(name)
        if node is None:
            return None
        if node.op_type in SCALED:
            return node.inputs[0]
        moved = self.moved(node)
        if node.op_type == "Mul" and len(moved) == 1:
            return node.inputs[moved[0]]
        return node.inputs[0] if node.op_type == "Div" and moved == [0] else None

    def constant(self, name: str) -> Array | None:
        """Return a constant, stored or made by a Constant node; None of others."""
        if (stored := self.graph.initialisers.get(name)) is not None:
            return stored
        node = self.graph.producer.get(name)
        if node is None or node.domain or node.op_type != "Constant":
            return None
        held = next((node.attributes[n] for n in _HOLDS if n in node.attributes), None)
        if isinstance(held, onnx.TensorProto):
            held = onnx.numpy_helper.to_array(held)
        return None if held is None else np.asarray(held)

    def number(self, name: str) -> float | None:
        """Return the one number that a constant is; None of others."""
        found = self.constant(name)
        if found is None or found.size != 1 or found.dtype.kind not in "fiuV":
            return None
        return float(found.astype(np.float64).item())

    def numbers(self, name: str) -> list[int] | None:
        """Return the whole numbers of a constant; None of others."""
        found = self.constant(name)
        return None if found is None or found.dtype.kind not in "iu" else found.ravel().tolist()
