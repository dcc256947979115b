"""Nodes at which a dependence on x ends before any number is known: integers, text, flags."""

from __future__ import annotations

from onnxlin.graph import Node
from onnxlin.operators.shapes import valued
from onnxlin.section.parts import ancestors
from onnxlin.section.section import STAIRCASE, STRAIGHT, Section, make_section
from onnxlin.section.starts import nearest_floats


def stops(section: Section) -> tuple[Node, ...]:
    """Nodes on the way to the outputs that read what depends on x, and make nothing that does."""
    graph = section.graph
    wanted = ancestors(graph, section.outputs)
    return tuple(
        node
        for node in graph.nodes
        if valued(node.op_type, node.reads)  # of a size nobody asks where its numbers are
        and not section.traced.isdisjoint(node.reads)
        and not wanted.isdisjoint(node.writes)
        and section.traced.isdisjoint(node.writes)
    )


def starts_behind(section: Section, nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """First float tensors behind nodes, on the way to the outputs."""
    made = [name for node in nodes for name in node.writes]
    wanted = ancestors(section.graph, section.outputs)
    found = nearest_floats(section.graph, made)
    return tuple(name for name in found if name in wanted and name not in section.outputs)


def goes_straight_through(section: Section) -> bool:
    """Whether x reaches the outputs if roundings count as the identity, and does not now."""
    if section.rounding != STAIRCASE:
        return False
    ends = section.inputs, section.outputs
    other = make_section(section.graph, *ends, STRAIGHT, gates=section.gates)
    reached = set(section.outputs) & other.live
    return bool(reached) and (not reached & section.live or len(other.nodes) > len(section.nodes))
