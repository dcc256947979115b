"""Run a model once with onnxruntime and keep the tensors that the rules want to see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import onnx
import onnxruntime

from onnxlin.errors import ModelError, TraceError
from onnxlin.graph import Array, Graph, Node
from onnxlin.load import NEWEST_RUNNABLE
from onnxlin.narrow import Crossing, prepare
from onnxlin.normalise import Draft, to_proto
from onnxlin.section import Section
from onnxlin.weights import attach, beside

MESSAGES = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
    RuntimeError,
)
"""What onnxruntime raises."""
# "/file.cc:46 type name(types) const " before a message; with brackets inside it stays.
_PLACE = re.compile(r"/\S+:\d+ [\w:<>&*, ~]+\([\w:<>&*, ]*\) (?:const )?")


_HINT = (
    ". It has no CPU kernel of that operator for this element type and operator set. Export the "
    "model in float32: dtype=numpy.float64 composes its map in double all the same."
)


@dataclass(frozen=True, eq=False)
class Session:
    """A model that onnxruntime has opened, how its tensors cross, and the weights it reads."""

    runtime: onnxruntime.InferenceSession
    crossing: Crossing
    weights: Mapping[str, Array]


def session(model: onnx.ModelProto, constants: Mapping[str, Array] | None = None) -> Session:
    """Open a session with the graph optimisers off; weights beside the model are ``constants``.

    With them off, adding outputs leaves the other outputs as they are to the last bit.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # What goes wrong is raised; a second copy on stderr would only be in the way.
    options.log_severity_level = 4
    # Idle threads that spin would take the cores from the products that follow the run.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    weights = beside(model, constants or {})
    attach(options, weights)
    try:
        widened, crossing = prepare(model)
        data = widened.SerializeToString()
        opened = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except (*MESSAGES, ValueError) as error:
        hint = _HINT if "NOT_IMPLEMENTED" in str(error) else ""
        raise ModelError(f"onnxruntime cannot load the model: {said(error)}{hint}") from error
    return Session(opened, crossing, weights)


def run(open_session: Session, wanted: list[str], feeds: Mapping[str, Array]) -> dict[str, Any]:
    """Run once and name the results."""
    try:
        crossing = open_session.crossing
        names = [crossing.name(name) for name in wanted]
        values = open_session.runtime.run(names, crossing.given(feeds))
    except MESSAGES as error:
        raise TraceError(f"onnxruntime cannot run the model at this x: {said(error)}") from error
    return {n: crossing.taken(n, value) for n, value in zip(wanted, values, strict=True)}


def said(error: Exception) -> str:
    """What onnxruntime said, in one line, without where in its sources."""
    return _PLACE.sub("", " ".join(str(error).split()))[:600].rstrip(". ")


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


OpenTracer = Callable[["Section", Captures], Tracing]


class Tracer:
    """A model, opened once, with everything that a section needs among its outputs.

    Parameters
    ----------
    section : Section
    captures : {node name: output names of the schema}
        Further native outputs that rules want.
    """

    def __init__(self, section: Section, captures: Captures) -> None:
        graph = section.graph
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        self._extra = _add_outputs(model, section.nodes, captures)
        self._later = {
            (node.name, output): LoneNode(node, output)
            for node in section.nodes
            for output in captures.get(node.name, ())
            if (node.name, output) not in self._extra
        }
        own = section.varying - set(graph.inputs)
        self._wanted = sorted({*(section.touched & own), *self._extra.values()})
        _cut_down(model, graph, self._wanted)
        declared = {o.name: o for o in model.graph.output}
        del model.graph.output[:]
        model.graph.output.extend(
            declared.get(name, onnx.ValueInfoProto(name=name)) for name in self._wanted
        )
        # With nothing wanted (the outputs are inputs) there is nothing to run.
        self._session = session(model, graph.initialisers) if self._wanted else None
        self.fixed = fold(graph, section.touched - section.varying)

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Run at x: tensor name -> value, for every tensor that the section touches."""
        ran = run(self._session, self._wanted, feeds) if self._session else {}
        return {**self.fixed, **feeds, **ran}

    def native_outputs(self, node: Node, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return the further outputs of a node: captured by the run, or by one of its own."""
        found = {o: values[t] for (name, o), t in self._extra.items() if name == node.name}
        for (name, output), alone in self._later.items():
            if name == node.name:
                found[output] = alone(values)
        return found

    def expanded(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Nothing to do: both have been computed."""


def position(node: Node, opset: int, output: str) -> int | None:
    """Where the schema of an operator set has an output; None if it has no such output."""
    outputs = onnx.defs.get_schema(node.op_type, opset, node.domain).outputs
    return next((i for i, o in enumerate(outputs) if o.name == output), None)


def _add_outputs(
    model: onnx.ModelProto, nodes: Iterable[Node], captures: Captures
) -> dict[tuple[str, str], str]:
    """Name the wanted optional outputs of nodes; return {(node, output): tensor}."""
    protos = {proto.output[0]: proto for proto in model.graph.node if proto.output}
    opsets = {o.domain: o.version for o in model.opset_import}
    extra = {}
    for node in nodes:
        for output in captures.get(node.name, ()):
            i = position(node, opsets.get(node.domain, 1), output)
            proto = protos.get(node.outputs[0])
            if i is None or proto is None:
                continue  # this old version of the operator has no such output
            proto.output.extend([""] * (i + 1 - len(proto.output)))
            proto.output[i] = proto.output[i] or f"{node.outputs[0]}/{output}"
            extra[node.name, output] = proto.output[i]
    return extra


class LoneNode:
    """One node in its newest form, for an output that its old form lacks.

    Parameters
    ----------
    node : Node
    output : str
        Name of the output in the schema.
    """

    def __init__(self, node: Node, output: str) -> None:
        attributes = {name: node.attributes[name] for name in node.given}
        at = position(node, NEWEST_RUNNABLE, output)
        assert at is not None, f"{node.op_type} has no output {output}"
        outputs = [output if i == at else "" for i in range(at + 1)]
        # Operators check that their required first output is asked for.
        outputs[0] = outputs[0] or "first"
        self._reads = [name for name in node.inputs if name]
        inputs = list(node.inputs)
        self._proto = to_proto(
            Draft(
                node.name, node.op_type, node.domain, inputs, outputs, attributes, NEWEST_RUNNABLE
            )
        )
        self._output = output
        self._sessions: dict[Any, Session] = {}

    def __call__(self, values: Mapping[str, Any]) -> Array:
        """Run it on the tensors of a trace."""
        feeds = {name: values[name] for name in self._reads}
        kinds = tuple((v.dtype, v.ndim) for v in feeds.values())
        if kinds not in self._sessions:
            self._sessions[kinds] = session(self._model(feeds))
        result: Array = run(self._sessions[kinds], [self._output], feeds)[self._output]
        return result

    def _model(self, feeds: Mapping[str, Array]) -> onnx.ModelProto:
        helper = onnx.helper
        given = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim
            )
            for name, value in feeds.items()
        ]
        result = onnx.ValueInfoProto(name=self._output)
        graph = helper.make_graph([self._proto], "lone_node", given, [result])
        opset = helper.make_opsetid("", NEWEST_RUNNABLE)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def _ancestors(graph: Graph, wanted: Iterable[str]) -> set[str]:
    """Tensors that the wanted ones are made from, themselves included."""
    reads = {o: node.reads for node in graph.nodes for o in node.writes}
    needed, kept = list(wanted), set[str]()
    while needed:
        name = needed.pop()
        if name not in kept:
            kept.add(name)
            needed += reads.get(name, ())
    return kept


def _cut_down(model: onnx.ModelProto, graph: Graph, wanted: Iterable[str]) -> None:
    """Drop nodes that nothing wanted needs: the runtime need not even be able to load them."""
    kept = _ancestors(graph, wanted)
    nodes = [n for n in model.graph.node if any(o in kept for o in n.output)]
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def fold(graph: Graph, names: Iterable[str]) -> dict[str, Array]:
    """Compute tensors that do not depend on any input, by running what makes them."""
    names = set(names)
    known = {name: graph.initialisers[name] for name in names & set(graph.initialisers)}
    wanted = sorted(names - set(known))
    if not wanted:
        return known
    kept = _ancestors(graph, wanted)
    model = onnx.ModelProto()
    model.ir_version = max(graph.model.ir_version, 4)
    model.opset_import.extend(graph.model.opset_import)
    model.graph.name = "fixed"
    model.graph.node.extend(
        proto for proto in graph.model.graph.node if any(o in kept for o in proto.output)
    )
    model.graph.initializer.extend(t for t in graph.model.graph.initializer if t.name in kept)
    model.graph.sparse_initializer.extend(
        t for t in graph.model.graph.sparse_initializer if t.values.name in kept
    )
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    return known | run(session(model, graph.initialisers), wanted, {})
