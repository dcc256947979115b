"""The part of a graph between the chosen inputs and outputs, found before any run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onnxlin.errors import InputError, TensorNameError
from onnxlin.graph import Graph, Node

# Without inputs of their own, yet different at every run: never folded.
RANDOM_OPS = frozenset(
    {
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    }
)


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
    """

    graph: Graph
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    traced: frozenset[str]
    live: frozenset[str]
    varying: frozenset[str]

    def is_traced(self, node: Node) -> list[bool]:
        """For each input of a node, whether it depends on what is linearised."""
        return [name in self.traced for name in node.inputs]

    @property
    def touched(self) -> frozenset[str]:
        """Every tensor that the nodes read or write, and the inputs and outputs."""
        at_nodes = {name for node in self.nodes for name in (*node.reads, *node.writes)}
        return frozenset({*at_nodes, *self.inputs, *self.outputs})


def make_section(
    graph: Graph, inputs: Iterable[str] | str | None, outputs: Iterable[str] | str | None
) -> Section:
    """Find what lies between the chosen tensors.

    Parameters
    ----------
    inputs, outputs : tensor names, or None
        None takes all float inputs, and all float outputs, of the graph.

    Raises
    ------
    TensorNameError
        A name is no tensor of the graph, or no float tensor.
    InputError
        No names were given and the graph has no float input.
    """
    sources = _default_inputs(graph) if inputs is None else _named(graph, inputs, "inputs")
    targets = _default_outputs(graph) if outputs is None else _named(graph, outputs, "outputs")
    constants = [name for name in sources if name in graph.initialisers]
    if constants:
        raise TensorNameError(
            f"inputs={constants!r} are initialisers: constants of the model, not functions of x."
        )
    traced = _downstream(graph, sources, sources)
    needed: list[Node] = []
    wanted = set(targets)
    for node in reversed(graph.nodes):
        # The makers of the chosen inputs lie before the section.
        made = [name for name in node.writes if name in wanted - set(sources)]
        if any(name in traced for name in made):
            needed.append(node)
            wanted.update(name for name in node.reads if name in traced)
    random = [o for node in graph.nodes if node.op_type in RANDOM_OPS for o in node.writes]
    varying = _downstream(graph, [*graph.inputs, *random], (), floats_only=False)
    live = frozenset(wanted) & traced
    nodes = tuple(reversed(needed))
    return Section(graph, tuple(sources), tuple(targets), nodes, traced, live, varying)


def _downstream(
    graph: Graph, sources: Sequence[str], cut: Sequence[str], *, floats_only: bool = True
) -> frozenset[str]:
    """Tensors that depend on the sources; dependence ends at integers if ``floats_only``."""
    reached = set(sources)
    for node in graph.nodes:
        if any(name in reached for name in node.reads):
            outputs = (o for o in node.writes if not floats_only or graph.may_be_float(o))
            reached.update(o for o in outputs if o not in cut)
    return frozenset(reached)


def _default_inputs(graph: Graph) -> list[str]:
    floats = [name for name, kind in graph.inputs.items() if kind.is_float]
    if floats:
        return floats
    found = ", ".join(f"{name!r} ({kind})" for name, kind in graph.inputs.items()) or "none at all"
    followers = [o for n in graph.nodes for o in n.writes if set(n.reads) & set(graph.inputs)]
    starts = [o for o in followers if graph.may_be_float(o)][:5]
    raise InputError(
        f"The model has no float input to linearise (its inputs: {found}). Start at a float "
        f"tensor inside with inputs=[...]; the first ones after the inputs are {starts}."
    )


def _default_outputs(graph: Graph) -> list[str]:
    floats = [name for name in graph.outputs if graph.may_be_float(name)]
    if not floats:
        raise TensorNameError(
            f"None of the model's outputs {list(graph.outputs)} is a float tensor. Choose a float "
            "tensor inside with outputs=[...]."
        )
    return floats


def _named(graph: Graph, names: Iterable[str] | str, what: str) -> list[str]:
    chosen = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    if not chosen:
        raise TensorNameError(f"{what}=[] names no tensor; leave it out to take the model's own.")
    unknown = [name for name in chosen if name not in graph.tensors]
    if unknown:
        raise TensorNameError(
            f"{what}={unknown!r}: no such tensor in the graph. "
            f"Did you mean {_similar(graph, unknown[0])}?"
        )
    wrong = [name for name in chosen if not graph.may_be_float(name)]
    if wrong:
        raise TensorNameError(f"{what}={wrong!r}: not a float tensor, so it has no linear map.")
    return chosen


def _similar(graph: Graph, name: str) -> str:
    import difflib  # noqa: PLC0415  # only to word an error

    close = difflib.get_close_matches(str(name), sorted(graph.tensors), n=4, cutoff=0.4)
    return ", ".join(repr(c) for c in close or [*graph.inputs, *graph.outputs][:4])
