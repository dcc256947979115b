"""Coefficients of many equal steps computed at once.

A recurrent node has the same small formulas at every step in time. They read only the forward
pass, so all steps' operands can be put side by side, go through each formula once, and be cut
apart again: a node for every operator instead of one for every operator and step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from math import prod
from typing import Any

import onnx

from onnxlin.lowering import Emitter

_NAMES = """
    Add Sub Mul Div Neg Abs Exp Log Sqrt Reciprocal Sigmoid Tanh Erf Sign Pow Max Min Where
    Greater GreaterOrEqual Less LessOrEqual Equal Not And Or Cast IsNaN Sin Cos
"""
ENTRYWISE = frozenset(_NAMES.split())
FEWEST = 4
# Entries of an array that is worth copying to save nodes.
LARGEST = 2**13
# Operators of one formula, each as often as it is read: one that goes on is cut there. Formulas are
# compared and written as trees, and a chain of them may be as long as the model is deep.
LONGEST = 50


class Formulas:
    """The entrywise formulas among the coefficients of a graph.

    Parameters
    ----------
    graph : Emitter
        With everything that reads the coefficients in it.
    further : collection of str
        But for what will read these.
    """

    def __init__(self, graph: Emitter, further: Collection[str] = ()) -> None:
        self._graph = graph
        self._further = set(further)
        self._coefficients = graph.coefficients
        self._inner = self._formulas()

    def _formulas(self) -> dict[str, onnx.NodeProto]:
        """The nodes of formulas by what they make; each comes after those that it reads."""
        found, sizes = dict[str, onnx.NodeProto](), dict[str, int]()
        for node in self._graph.nodes:
            if self._is_formula(node):
                size = 1 + sum(sizes.get(name, 0) for name in node.input)
                if size <= LONGEST:
                    found[node.output[0]], sizes[node.output[0]] = node, size
        return found

    def _is_formula(self, node: onnx.NodeProto) -> bool:
        """Whether a node works entry by entry on traced arrays of one shape, and on numbers."""
        shapes, stored = self._graph.shapes, self._graph.stored
        if node.output[0] not in self._coefficients:
            return False
        shape = shapes[node.output[0]]
        if node.op_type == "Concat":
            return (
                0 < prod(shape) <= LARGEST
                and node.attribute[0].i % len(shape) > 0
                and all(n not in stored and shapes.get(n, ())[:1] == shape[:1] for n in node.input)
            )
        if node.op_type not in ENTRYWISE:
            return False
        operands = [n for n in node.input if n not in stored]
        numbers = all(stored[n].size == 1 for n in node.input if n in stored)
        return (
            numbers
            and 0 < prod(shape) <= LARGEST
            and bool(shape)
            and all(shapes.get(n) == shape for n in operands)
        )

    def batch(self) -> None:
        """Write formulas that occur often once, and let the results stand for them."""
        groups: dict[Any, list[tuple[str, list[str]]]] = defaultdict(list)
        roots = self._roots()
        depth = self._depths(roots)
        for root in roots:
            leaves: list[str] = []
            form = self._form(root, leaves)
            groups[self._graph.shapes[root], form, depth[root]].append((root, leaves))
        for group in groups.values():
            if len(group) >= FEWEST:
                self._write(group)

    def _roots(self) -> list[str]:
        """Formulas that something else than a formula reads, in order."""
        read = {
            name
            for node in self._graph.nodes
            if node.output[0] not in self._inner
            for name in node.input
        }
        read |= self._further
        return [name for name in self._inner if name in read]

    def _depths(self, roots: Collection[str]) -> dict[str, int]:
        """Count the formulas on the way to every tensor: of two as deep none reads the other."""
        ends, depth = set(roots), dict[str, int]()
        for node in self._graph.nodes:
            before = max((depth.get(name, 0) for name in node.input), default=0)
            depth |= {name: before + (name in ends) for name in node.output}
        return depth

    def _form(self, name: str, leaves: list[str]) -> Any:
        """Describe a formula by its operators; ``leaves`` gets the tensors that it reads."""
        # (position among the leaves, shape, type) stands for a leaf: codes and floats do not mix.
        if name in self._graph.stored:
            return name
        node = self._inner.get(name)
        if node is None:
            if name not in leaves:
                leaves.append(name)
            graph = self._graph
            return leaves.index(name), graph.shapes.get(name), graph.kinds.get(name)
        attributes = tuple(a.SerializeToString() for a in node.attribute)
        return node.op_type, attributes, *(self._form(n, leaves) for n in node.input)

    def _write(self, group: list[tuple[str, list[str]]]) -> None:
        group = [group[i] for i in self._graph.in_order([leaves for _, leaves in group])]
        graph, (first, leaves) = self._graph, group[0]
        joined = {
            leaf: graph.joined([names[i] for _, names in group]) for i, leaf in enumerate(leaves)
        }
        whole = self._again(first, joined)
        count = len(group)
        for root, part in zip(
            [root for root, _ in group],
            graph.several("Split", count, whole, axis=0, num_outputs=count),
            strict=True,
        ):
            graph.stand_in(part, root)

    def _again(self, name: str, joined: dict[str, str]) -> str:
        """Write a formula on other leaves."""
        if name in joined or name in self._graph.stored:
            return joined.get(name, name)
        node = self._inner[name]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return self._graph(
            node.op_type, *(self._again(n, joined) for n in node.input), **attributes
        )
