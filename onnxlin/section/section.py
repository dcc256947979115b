"""The part of a graph between the chosen inputs and outputs, found before any run."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from onnxlin.graph import Graph, Node
from onnxlin.operators import integers
from onnxlin.operators.families import RANDOM
from onnxlin.operators.patterns import Part
from onnxlin.operators.quantisation import FINDS_SCALE
from onnxlin.section.ends import Names, first_end, last_end
from onnxlin.section.gates import (
    HALVES,
    Choice,
    Gates,
    Holding,
    find_holding,
    read_gates,
    require_products,
)
from onnxlin.section.options import one_of

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
    gates : Gates
        The reading of gated products in frozen mode.
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
    gates: Gates = field(default_factory=Gates)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the nodes by their places in the graph, and sets in order."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        places = {id(node): i for i, node in enumerate(self.graph.nodes)}
        own["nodes"] = [places[id(node)] for node in self.nodes]
        sets = {name: sorted(v) for name, v in own.items() if isinstance(v, frozenset)}
        return revived, (own | sets, sorted(sets))

    @cached_property
    def holding(self) -> Holding:
        """What frozen mode holds beside what rules hold."""
        ends = self.inputs, self.outputs
        part = Part(self.graph, self.nodes, ends, self.traced, self.carriers)
        return find_holding(part, self.gates)

    def notes_in(self, mode: str) -> tuple[str, ...]:
        """What was chosen for the caller, and what frozen mode reads otherwise than it stands."""
        return self.notes + self._scales + (self.holding.notes if mode == "frozen" else ())

    @cached_property
    def _scales(self) -> tuple[str, ...]:
        """Say that W is the slope of scales alone, where rounding ends all other dependence."""
        found = [node for node in self.nodes if node.op_type in FINDS_SCALE]
        if self.rounding != STAIRCASE or not found:
            return ()
        which = f"{found[0].name!r}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        return (
            f"rounding ends what depends on x at {which}, and only the size of their steps, which "
            'they find in x, goes on: W is the slope of these scales. rounding="straight-through" '
            "counts rounding as an offset, and W follows the numbers",
        )

    def is_traced(self, node: Node) -> list[bool]:
        """For each input of a node, whether it depends on what is linearised."""
        return [name in self.traced and self.enters(node, name) for name in node.inputs]

    def enters(self, node: Node, name: str) -> bool:
        """Whether a dependence on a traced tensor enters a node that reads it."""
        return _enters(self.carriers, node, name)

    @property
    def touched(self) -> frozenset[str]:
        """Every tensor that the nodes read or write, and the inputs and outputs."""
        at_nodes = {name for node in self.nodes for name in (*node.reads, *node.writes)}
        return frozenset({*at_nodes, *self.inputs, *self.outputs})


def revived(own: dict[str, Any], sets: Sequence[str]) -> Section:
    """Make a section again that has been pickled."""
    nodes = tuple(own["graph"].nodes[i] for i in own["nodes"])
    return Section(**{**own, **{name: frozenset(own[name]) for name in sets}, "nodes": nodes})


def _enters(carriers: frozenset[str], node: Node, name: str) -> bool:
    # An integer that carries a number does so only where an operator takes it as one.
    return name not in carriers or name in integers.taken(node)


def require_rounding(rounding: str) -> None:
    """Raise OptionError unless this is a reading of rounding."""
    one_of("rounding", rounding, ROUNDINGS)


def require_mode(mode: str) -> None:
    """Raise OptionError unless this is a reading of smooth operators."""
    one_of("mode", mode, MODES)


def make_section(
    graph: Graph,
    inputs: Names,
    outputs: Names,
    rounding: str = STAIRCASE,
    *,
    deciding: bool = False,
    body: bool = False,
    gates: Choice = HALVES,
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
    gates : {"halves", "held"}, {node name: one of them} or Gates
        Names that a caller gives are checked.

    Raises
    ------
    TensorNameError
        A name is no tensor of the graph, or no float tensor.
    InputError, OptionError
        No names were given and the graph has no float input; gates of no gated product are chosen.
    """
    straight = rounding == STRAIGHT
    first = first_end(graph, inputs, graph.tensors if straight else frozenset())
    traced, carriers = _downstream(graph, first.names, straight)
    # A sequence has no map, whatever it holds.
    numbers = frozenset(name for name in carriers if graph.elem_types[name])
    last = last_end(graph, outputs, graph.tensors if body else numbers)
    reached = graph.moved_by(first.names) if deciding else traced
    wanted = _upstream(graph, first.names, last.names, reached, carriers)
    made = (wanted & reached) - set(first.names)
    found = Section(
        graph=graph,
        inputs=first.names,
        outputs=last.names,
        nodes=tuple(node for node in graph.nodes if _is_between(node, made, traced)),
        traced=traced,
        live=wanted & traced,
        varying=_varying(graph),
        carriers=carriers,
        rounding=rounding,
        notes=tuple(end.note for end in (first, last) if end.note),
        deciding=deciding,
        gates=read_gates(gates),
    )
    if found.gates.nodes and not isinstance(gates, Gates):
        require_products(found.gates, found.holding.products)
    return found


def _is_between(node: Node, made: Set[str], traced: Set[str]) -> bool:
    """Whether a node makes what is wanted, and has to do with what is traced."""
    own = [name for name in node.writes if name in made]
    return bool(own) and any(name in traced for name in (*own, *node.reads))


def _upstream(
    graph: Graph,
    sources: Sequence[str],
    targets: Sequence[str],
    reached: Set[str],
    carriers: frozenset[str],
) -> frozenset[str]:
    """The targets, and the reached tensors that they are made from, back to the sources."""
    wanted = set(targets)
    for node in reversed(graph.nodes):
        # The makers of the chosen inputs lie before the section.
        if any(name in wanted and name in reached and name not in sources for name in node.writes):
            wanted.update(n for n in node.reads if n in reached and _enters(carriers, node, n))
    return frozenset(wanted)


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
    return frozenset(graph.moved_by([*graph.inputs, *random]))
