"""Run a model once with onnxruntime and keep the tensors that the rules want to see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import onnx

from onnxlin.graph import Array, Node
from onnxlin.operators.schemas import output_position
from onnxlin.runtime.opened import run, session
from onnxlin.runtime.providers import DEFAULT, Providers, Ran
from onnxlin.section.cost import hold_constants
from onnxlin.section.fold import fold
from onnxlin.section.lone_node import LoneNode
from onnxlin.section.parts import cut_down
from onnxlin.section.rounds import Rounds
from onnxlin.section.section import Section

Captures = Mapping[str, tuple[str, ...]]
"""Node name -> further outputs, by their schema names, that its rule wants."""


class Tracing(Protocol):
    """What a program is built from: the tensors of a section at some x."""

    fixed: dict[str, Array]

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Tensor name -> value, for every tensor that the section touches."""

    def native_outputs(self, node: Node, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return the further outputs of a node that its rule wants."""

    def expanded(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Take note that tensors of a body (first) stand for those of its node (second)."""


OpenTracer = Callable[[Section, Captures], Tracing]


class Tracer:
    """A model, opened once, with everything that a section needs among its outputs.

    Parameters
    ----------
    section : Section
    captures : {node name: output names of the schema}
        Further native outputs that rules want.
    providers : Providers
        Of the run of the model. What follows from constants, and nodes that are run by themselves
        for a further output, are the CPU's.

    Attributes
    ----------
    ran : Ran or None
        What the providers took; None where none were asked for, or nothing is run.
    """

    def __init__(
        self, section: Section, captures: Captures, providers: Providers = DEFAULT
    ) -> None:
        self.section, self.captures = section, captures
        graph = section.graph
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        self._captures = captures
        self._extra = _add_outputs(model, section.nodes, captures)
        self._later = {
            (node.name, output): LoneNode(node, output)
            for node in section.nodes
            for output in captures.get(node.name, ())
            if (node.name, output) not in self._extra
        }
        own = section.varying - set(graph.inputs)
        self._ends = section.outputs
        self._wanted = sorted({*(section.touched & own), *self._extra.values()})
        cut_down(model, graph, self._wanted)
        self._askers = hold_constants(model.graph.node, graph.initialisers)
        declared = {o.name: o for o in model.graph.output}
        del model.graph.output[:]
        model.graph.output.extend(
            declared.get(name, onnx.ValueInfoProto(name=name)) for name in self._wanted
        )
        # With nothing wanted (the outputs are inputs) there is nothing to run.
        self._session = session(model, graph.initialisers, providers) if self._wanted else None
        self.ran: Ran | None = None
        if self._session is not None:
            self.ran = providers.ran(self._session.runtime)
        self.fixed = fold(graph, section.touched - section.varying)
        for asker in self._askers:
            asker.hold(self.fixed, {})
        self._rounds = Rounds(graph, self._askers)

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Run at x: tensor name -> value, for every tensor that the section touches."""
        ran = self._run(self._wanted, feeds)
        return {**self.fixed, **feeds, **ran}

    def ends(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run at x for what the section ends with alone: ``{output name: array}``."""
        asked = [name for name in self._ends if name in self._wanted]
        values = {**self.fixed, **feeds, **self._run(asked, feeds)}
        return {name: values[name] for name in self._ends}

    def _run(self, wanted: list[str], feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Run for some tensors, unless what is fed asks for more than `onnxlin.limits` lets it."""
        if self._session is None or not wanted:
            return {}
        for asker in self._askers:
            asker.hold(feeds, {})
        self._rounds.hold({**self.fixed, **feeds})
        return run(self._session, wanted, feeds)

    def rest(self) -> None:
        """Let go of the session until the next run; see `onnxlin.runtime.forked.ForkSafe.rest`."""
        if self._session is not None:
            self._session.runtime.rest()

    def native_outputs(self, node: Node, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return the further outputs of a node: captured by the run, or by one of its own."""
        found = {}
        for output in self._captures.get(node.name, ()):
            key = node.name, output
            alone = self._later.get(key)
            found[output] = values[self._extra[key]] if alone is None else alone(values)
        return found

    def expanded(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Nothing to do: both have been computed."""


def _add_outputs(
    model: onnx.ModelProto, nodes: Iterable[Node], captures: Captures
) -> dict[tuple[str, str], str]:
    """Name the wanted optional outputs of nodes; return {(node, output): tensor}."""
    protos = {proto.output[0]: proto for proto in model.graph.node if proto.output}
    opsets = {o.domain: o.version for o in model.opset_import}
    extra = {}
    for node in nodes:
        for output in captures.get(node.name, ()):
            i = output_position(node, opsets.get(node.domain, 1), output)
            proto = protos.get(node.outputs[0])
            if i is None or proto is None:
                continue  # this old version of the operator has no such output
            proto.output.extend([""] * (i + 1 - len(proto.output)))
            proto.output[i] = proto.output[i] or f"{node.outputs[0]}/{output}"
            extra[node.name, output] = proto.output[i]
    return extra
