"""The part of a graph between the chosen inputs and outputs, found before any run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onnxlin.errors import OptionError
from onnxlin.graph import Graph, Node
from onnxlin.operators import integers
from onnxlin.operators.families import RANDOM
from onnxlin.section.ends import Names, first_end, last_end

STAIRCASE = "staircase"
STRAIGHT = "straight-through"
ROUNDINGS = (STAIRCASE, STRAIGHT)
MODES = ("tangent", "frozen")


@dataclass(frozen=True, eq=False)
class Section:
    """The nodes on a path from ``inputs`` to ``outputs``, and what they need from a run.

    Parameters
    ----------
    graph : Graph
    inputs, outputs : tuple of str
        Tensor names. Nothing before ``inputs`` is linearised.
    nodes : tuple of Node
        On a path from an input to an output, in order.
    traced : frozenset of str
        Float tensors that depend on ``inputs``.
    live : frozenset of str
        The traced tensors that lie on a path to the outputs.
    varying : frozenset of str
        Tensors that can differ from one run to the next; the others are fixed.
    carriers : frozenset of str
        Traced tensors, and sequences, that may hold numbers as integers; none where rounding is a
        staircase.
    rounding : {"staircase", "straight-through"}
    notes : tuple of str
        What was chosen for the caller, in words.
    deciding : bool
        Whether the nodes include those that reach the outputs only by what they decide: a
        comparison for a Where, and what it compares.
    """

    graph: Graph
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    traced: frozenset[str]
    live: frozenset[str]
    varying: frozenset[str]
    carriers: frozenset[str] = frozenset()
    rounding: str = STAIRCASE
    notes: tuple[str, ...] = ()
    deciding: bool = False

    def is_traced(self, node: Node) -> list[bool]:
        """For each input of a node, whether it depends on what is linearised."""
        return [name in self.traced and self.enters(node, name) for name in node.inputs]

    def enters(self, node: Node, name: str) -> bool:
        """Whether a dependence on a traced tensor enters a node that reads it."""
        return name not in self.carriers or name in integers.taken(node)

    @property
    def touched(self) -> frozenset[str]:
        """Every tensor that the nodes read or write, and the inputs and outputs."""
        at_nodes = {name for node in self.nodes for name in (*node.reads, *node.writes)}
        return frozenset({*at_nodes, *self.inputs, *self.outputs})


def require_rounding(rounding: str) -> None:
    """Raise OptionError unless this is a reading of rounding."""
    if rounding not in ROUNDINGS:
        raise OptionError(f"rounding={rounding!r}; expected one of {list(ROUNDINGS)}.")


def require_mode(mode: str) -> None:
    """Raise OptionError unless this is a reading of smooth operators."""
    if mode not in MODES:
        raise OptionError(f"mode={mode!r}; expected one of {list(MODES)}.")


def make_section(
    graph: Graph,
    inputs: Names,
    outputs: Names,
    rounding: str = STAIRCASE,
    *,
    deciding: bool = False,
    body: bool = False,
) -> Section:
    """Find what lies between the chosen tensors.

    Parameters
    ----------
    inputs, outputs : tensor names, or None
        None takes all float inputs, and all float outputs, of the graph; see
        `onnxlin.section.ends`.
    deciding : bool
        See `Section`.
    body : bool
        Whether the graph stands for a node, which may hand on integers that do not depend on x.
    rounding : {"staircase", "straight-through"}
        Whether dependence ends at integer tensors, or goes through those that stand for numbers.

    Raises
    ------
    TensorNameError
        A name is no tensor of the graph, or no float tensor.
    InputError
        No names were given and the graph has no float input.
    """
    straight = rounding == STRAIGHT
    first = first_end(graph, inputs, graph.tensors if straight else frozenset())
    sources = first.names
    traced, carried = _downstream(graph, sources, straight)
    # A sequence has no map, whatever it holds.
    numbers = frozenset(name for name in carried if graph.elem_types[name])
    last = last_end(graph, outputs, graph.tensors if body else numbers)
    targets = last.names
    ends = Section(graph, (), (), (), traced, traced, traced, carried, rounding)
    needed: list[Node] = []
    wanted = set(targets)
    reached = moved(graph, sources) if deciding else traced
    for node in reversed(graph.nodes):
        # The makers of the chosen inputs lie before the section.
        made = [name for name in node.writes if name in wanted - set(sources)]
        if any(name in reached for name in made):
            if any(name in traced for name in (*made, *node.reads)):
                needed.append(node)
            wanted.update(n for n in node.reads if n in reached and ends.enters(node, n))
    return replace(
        ends,
        inputs=sources,
        outputs=targets,
        nodes=tuple(reversed(needed)),
        live=frozenset(wanted) & traced,
        varying=_varying(graph),
        notes=tuple(end.note for end in (first, last) if end.note),
        deciding=deciding,
    )


def moved(graph: Graph, sources: Sequence[str]) -> set[str]:
    """Tensors of any type that may change when the sources do."""
    reached = set(sources)
    for node in graph.nodes:
        if any(name in reached for name in node.reads):
            reached.update(node.writes)
    return reached


def _downstream(
    graph: Graph, sources: Sequence[str], straight: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """Tensors that depend on the sources, and those among them that may be integers.

    Dependence ends at integers, but for those that carry numbers if ``straight``.
    """
    reached = set(sources)
    carried = {name for name in sources if straight and not graph.may_be_float(name)}
    for node in graph.nodes:
        through = integers.taken(node) if carried else frozenset()
        if any(name in reached and (name not in carried or name in through) for name in node.reads):
            numbers = integers.made(graph, node) if straight else []
            floats = [o for o in node.writes if graph.may_hold_floats(o)]
            new = {*floats, *numbers} - set(sources)
            reached |= new
            carried |= {o for o in numbers if o in new and not graph.may_be_float(o)}
    return frozenset(reached), frozenset(carried)


def _varying(graph: Graph) -> frozenset[str]:
    """Tensors that depend on any input, or are drawn at random."""
    random = [o for node in graph.nodes if node.op_type in RANDOM for o in node.writes]
    reached = {*graph.inputs, *random}
    for node in graph.nodes:
        if any(name in reached for name in node.reads):
            reached.update(node.writes)
    return frozenset(reached)
