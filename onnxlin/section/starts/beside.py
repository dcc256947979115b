"""What is added to tokens row by row and is the same for all of them: positions, mostly."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from onnx.helper import get_attribute_value

from onnxlin.graph import Array, Graph
from onnxlin.graph.tensors import to_array
from onnxlin.operators import lookups as ops
from onnxlin.operators.growth import held
from onnxlin.section.starts.trail import Trail


@dataclass(frozen=True)
class Beside:
    """Tensors that depend on no value of the inputs, but may on their shapes.

    Parameters
    ----------
    tensors : tuple of str
        Rows looked up in, or cut from, a table.
    folded : tuple of str
        Initialisers of several rows.
    added : bool
        Whether look-ups are added to each other.
    """

    graph: Graph
    tensors: tuple[str, ...]
    folded: tuple[str, ...]
    added: bool

    def same(self, tensor: str) -> bool:
        """Whether the rows are all the same, looked up at zeros: types that were left out."""
        node = self.graph.producer.get(tensor)
        index = None if node is None else ops.indices_of(node)
        return index is not None and not any(self._numbers(index))

    def _numbers(self, tensor: str) -> Iterator[bool]:
        """Whether what positions are made of counts anything: a range, or several numbers."""
        seen, waiting = {tensor}, [tensor]
        while waiting:
            name = waiting.pop()
            node = self.graph.producer.get(name)
            value = _constant(self.graph, name)
            if value is not None:
                yield value.size > 1 and bool(np.any(value != value.flat[0]))
            if node is not None:
                yield node.op_type in ops.COUNTS
                first = [name for name in node.reads[:1] if name not in seen]
                seen.update(first)
                waiting += first


def beside(trail: Trail, tokens: Collection[int]) -> Beside:
    """Find what is added to look-ups before any weights are.

    Parameters
    ----------
    tokens : look-ups, by their places
        Those of which it counts if they are added to each other.
    """
    graph = trail.graph
    pure = {each.tensor: {k} & set(tokens) for k, each in trail.found.items()}
    tensors, folded, added = list[str](), list[str](), False
    for node in graph.nodes:
        own = [pure[name] for name in node.reads if name in pure]
        if not own or node.op_type not in ops.CARRIES | ops.ADDS:
            continue
        others = [name for name in node.reads if name not in pure]
        if any(name in trail.behind for name in others):
            continue  # what is added has gone through a layer: a residual net's next stage
        if node.op_type in ops.CARRIES:
            pure |= dict.fromkeys(node.writes, set.union(*own))
        if node.op_type in ops.ADDS:
            added = added or len(set.union(*own)) > max(map(len, own))
            for name in others:
                for origin in _origins(trail, name):
                    (folded if origin in graph.initialisers else tensors).append(origin)
    return Beside(graph, tuple(dict.fromkeys(tensors)), tuple(dict.fromkeys(folded)), added)


def _constant(graph: Graph, name: str) -> Array | None:
    """The value of an initialiser, or of a node that holds one."""
    if name in graph.initialisers:
        return graph.initialisers[name]
    node = graph.producer.get(name)
    found = None if node is None else held(node.source)
    if found is None:
        return None
    return to_array(found.t) if found.HasField("t") else np.asarray(get_attribute_value(found))


def _origins(trail: Trail, name: str) -> Iterator[str]:
    """Where rows come from: what looks them up or cuts them out, or an initialiser."""
    graph = trail.graph
    node, value = graph.producer.get(name), _constant(graph, name)
    if name in trail.by:
        return
    if value is not None:
        if value.ndim > 1 and value.shape[-2] > 1:
            yield name
    elif node is None:
        return
    elif node.op_type in ops.ADDS:
        for each in node.inputs:
            yield from _origins(trail, each)
    elif ops.indices_of(node):
        yield name
    elif node.op_type in ops.CARRIES | ops.UNPACKS and node.reads:
        for each in _origins(trail, node.reads[0]):
            # Not the table itself, and not its codes.
            inside = each not in graph.initialisers and graph.may_be_float(each)
            yield each if inside else name
