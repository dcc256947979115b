"""Where dependence on an input first is a float, and where it last is one."""

from __future__ import annotations

from collections.abc import Collection

from onnxlin.graph import Graph
from onnxlin.operators.shapes import valued
from onnxlin.section.starts.tokens import find_starts


def first_floats(
    graph: Graph, inputs: Collection[str], beside: Collection[str] = ()
) -> tuple[str, ...]:
    """Find the first float tensors on every way from inputs: none depends on another.

    Parameters
    ----------
    inputs : tensor names
    beside : tensor names
        What depends on these, too, does not count: it is theirs.
    """
    reached, others = set(inputs), set(beside)
    first = list[str]()
    for node in graph.nodes:
        reads = valued(node.op_type, node.reads)
        if not others.isdisjoint(reads):
            others.update(node.writes)
        elif not reached.isdisjoint(reads):
            floats = [o for o in node.writes if o in graph.elem_types and graph.may_be_float(o)]
            first += floats
            # Behind a float tensor nothing is first any more.
            others.update(floats)
            reached.update(o for o in node.writes if o not in floats)
    return tuple(first)


def nearest_floats(
    graph: Graph, names: Collection[str], beside: Collection[str] = ()
) -> tuple[str, ...]:
    """Find what stands for tensors that are no floats: what they look up, else the first floats.

    Parameters
    ----------
    names : tensor names
    beside : tensor names
        As in `first_floats`.
    """
    found, theirs = find_starts(graph, names), graph.moved_by(beside)
    near = tuple(name for name in found.best if name not in theirs)
    return near or first_floats(graph, names, beside)


def last_floats(graph: Graph, outputs: Collection[str]) -> tuple[str, ...]:
    """Find the last float tensors, functions of the inputs, on every way to some outputs."""
    moving = graph.moved_by(graph.inputs)
    wanted, found = set(outputs), list[str]()
    for node in reversed(graph.nodes):
        if wanted.isdisjoint(node.writes):
            continue
        for name in node.reads:
            if name in moving and name in graph.elem_types and graph.may_be_float(name):
                found.append(name)
            else:
                wanted.add(name)
    return tuple(dict.fromkeys(name for name in found if name not in graph.inputs))
