"""Where dependence on an input first is a float: starts for a map, and what they leave out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from onnxlin.graph import Graph
from onnxlin.operators.families import looks_up


class Floats(NamedTuple):
    """First float tensors behind some inputs: those looked up in a table, and all of them."""

    looked_up: tuple[str, ...]
    all: tuple[str, ...]

    @property
    def best(self) -> tuple[str, ...]:
        """Embeddings where there are any."""
        return self.looked_up or self.all


def first_floats(graph: Graph, inputs: Collection[str], beside: Collection[str] = ()) -> Floats:
    """Find the first float tensors on every way from inputs.

    Parameters
    ----------
    inputs : tensor names
    beside : tensor names
        What depends on these, too, does not count: it is theirs.
    """
    reached, others = set(inputs), set(beside)
    looked_up, first = list[str](), list[str]()
    for node in graph.nodes:
        if not others.isdisjoint(node.reads):
            others.update(node.writes)
            continue
        if reached.isdisjoint(node.reads):
            continue
        floats = [o for o in node.writes if o in graph.elem_types and graph.may_be_float(o)]
        first += floats
        # A lookup reads a float table that is no function of the inputs.
        tables = [n for n in node.reads if n not in reached and graph.may_be_float(n)]
        looked_up += floats if tables and looks_up(node.op_type) else []
        # Behind a float tensor nothing is first any more.
        reached.update(o for o in node.writes if o not in floats)
    return Floats(tuple(looked_up), tuple(first))


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


def held_note(graph: Graph, chosen: Sequence[str]) -> str | None:
    """Say which inputs are held at x, and which ``inputs=`` take in what they do; None if none."""
    held = [n for n in graph.inputs if n not in chosen and n not in graph.defaults]
    if not held:
        return None
    listed = ", ".join(f"{name!r} ({graph.inputs[name]})" for name in held)
    text = f"not in W, as they are no floats: {listed}; what they bring in is part of b"
    behind = first_floats(graph, held, chosen).best
    if behind:
        text += f". inputs={[*chosen, *behind]} takes it in"
    return text


def mask_note(graph: Graph, starts: Sequence[str], masks: Sequence[str]) -> str:
    """Say why a map starts behind the inputs, and not at those that are floats."""
    listed = ", ".join(f"{name!r} ({graph.inputs[name]})" for name in masks)
    return (
        f"the map starts at {', '.join(starts)}, where the integers are looked up; held at x: "
        f"{listed}, which only says what counts. inputs={list(masks)} explains that instead"
    )
