"""If, Loop and Scan as they ran at x: the branch taken, the iterations one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.inliner

from onnxlin.graph.sequences import element
from onnxlin.primitives import Array, Shape
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Writer, value_info
from onnxlin.rules.registry import rule
from onnxlin.runtime.opened import run, session

DOMAIN = "unrolled"


class Subgraph:
    """A subgraph of a node as a function that the node's body calls, once or many times.

    Parameters
    ----------
    w : Writer
        Writes the body. Tensors that the subgraph reads from outside are its inputs ``x0, ...``.
    node : NodeAtX
    graph : onnx.GraphProto
    """

    def __init__(self, w: Writer, node: NodeAtX, graph: onnx.GraphProto) -> None:
        self.w, self._graph = w, graph
        self._held = [_copied(w, tensor) for tensor in graph.initializer]
        self._held += [f"x{i}" for i, _ in enumerate(node.outer)]
        inner = [tensor.name for tensor in graph.initializer]
        made = [name for child in graph.node for name in child.output]
        ends, handed = [], []
        for i, output in enumerate(graph.output):
            # A graph may hand an input on, or one tensor twice; a function's outputs are its own.
            # Old operator sets have no Identity for sequences.
            own = output.type.HasField("sequence_type") and output.name in made
            ends.append(output.name if own else f"{DOMAIN}:{i}")
            if not own:
                handed.append(onnx.helper.make_node("Identity", [output.name], [ends[-1]]))
        self.function = onnx.helper.make_function(
            DOMAIN,
            "step",
            [*(given.name for given in graph.input), *inner, *node.outer],
            ends,
            [*graph.node, *handed],
            [onnx.helper.make_opsetid(domain, v) for domain, v in node.opsets.items()],
        )

    def __call__(self, *inputs: str) -> list[str]:
        """Call it: one tensor an input of the subgraph -> one an output."""
        count = len(self._graph.output)
        return self.w.several("step", count, *inputs, *self._held, domain=DOMAIN)


def _copied(w: Writer, tensor: onnx.TensorProto) -> str:
    return w.constant(onnx.numpy_helper.to_array(tensor))


Write = Callable[[NodeAtX, Writer, Subgraph], "list[str | list[str]]"]
"""Writes the nodes around a subgraph; answers with a tensor, or the tensors of a sequence, for each
output of the node."""


def _body(node: NodeAtX, key: object, attribute: str, write: Write) -> Body:
    """Write a body around a subgraph of the node, and open the calls of it."""
    node.ignore(*node.node.given)
    inside = {f"i{i}": (o.name, o.native) for i, o in enumerate(node.operands) if o}
    inside |= {f"x{i}": pair for i, pair in enumerate(node.outer.items())}

    def make() -> onnx.ModelProto:
        w = Writer(np.float32)
        given: dict[str, Array] = {}
        for name, (_, value) in inside.items():
            given |= _given(node, w, name, value)
        subgraph = Subgraph(w, node, node.attr(attribute))
        made = zip(write(node, w, subgraph), node.results, strict=True)
        outputs: dict[str, Array] = {}
        for i, (ends, result) in enumerate(made):
            outputs |= _ends(w, f"o{i}", ends, result)
        model = w.model(given, outputs, [*node.opsets.items(), (DOMAIN, 1)])
        model.functions.append(subgraph.function)
        return onnx.inliner.inline_local_functions(model)

    pairs = (zip(_names(n, v), _names(t, v), strict=True) for n, (t, v) in inside.items())
    feeds = {name: tensor for pair in pairs for name, tensor in pair}
    results = (_names(f"o{i}", v) if v is not None else [""] for i, v in enumerate(node.results))
    return Body(key, make, feeds, [name for names in results for name in names])


def _names(name: str, value: Array | list[Array]) -> list[str]:
    """Name the tensors of a sequence; a tensor is called as it is."""
    return [element(name, k) for k in range(len(value))] if isinstance(value, list) else [name]


def _given(node: NodeAtX, w: Writer, name: str, value: Array | list[Array]) -> dict[str, Array]:
    """Declare an input of the body; a sequence is put together from its tensors."""
    if not isinstance(value, list):
        return {name: value}
    names = _names(name, value)
    made = onnx.helper.make_node("SequenceConstruct", names, [name])
    if not names:
        made = onnx.helper.make_node("SequenceEmpty", [], [name], dtype=_held_kind(node, name))
    w.nodes.append(made)
    return dict(zip(names, value, strict=True))


def _held_kind(node: NodeAtX, name: str) -> int:
    """Element type of an empty sequence, as the loop that it enters declares it."""
    inputs = node.attr("body").input if node.op_type == "Loop" and name[0] == "i" else []
    types = {f"i{i}": info.type.sequence_type.elem_type for i, info in enumerate(inputs)}
    declared = types[name].tensor_type.elem_type if name in types else 0
    return declared or int(onnx.TensorProto.FLOAT)


def _ends(
    w: Writer, name: str, made: str | list[str], result: Array | list[Array] | None
) -> dict[str, Array]:
    """Name an output of the body; of a sequence, its tensors."""
    if result is None:
        return {}
    names = _names(name, result)
    if isinstance(made, str):
        held = isinstance(result, list)
        made = [w("SequenceAt", made, w.ints(k)) if held else made for k, _ in enumerate(names)]
    w.nodes.extend(
        onnx.helper.make_node("Identity", [a], [b]) for a, b in zip(made, names, strict=True)
    )
    return dict(zip(names, result if isinstance(result, list) else [result], strict=True))


@rule("If", status="unrolled")
def if_(node: NodeAtX) -> Body:
    """The branch taken at x."""
    branch = "then_branch" if node.native(0).item() else "else_branch"
    return _body(node, branch, branch, lambda _node, _w, graph: [*graph()])


@rule("Loop", status="unrolled")
def loop(node: NodeAtX) -> Body:
    """Every iteration that ran at x; how many did may itself depend on x."""
    trips = _trips(node)

    def write(node: NodeAtX, w: Writer, graph: Subgraph) -> list[str | list[str]]:
        inputs = node.attr("body").input
        count = len(node.operands) - 2
        state = [f"i{i + 2}" for i in range(count)]
        made: list[list[str]] = []
        for k in range(trips):
            at = w.constant(np.full(_declared(inputs[0]), k, dtype=np.int64))
            goes_on = w.constant(np.full(_declared(inputs[1]), True))
            _, *outputs = graph(at, goes_on, *state)
            state = outputs[:count]
            made.append(outputs[count:])
        scans = zip(*made, strict=True) if made else [()] * (len(node.results) - count)
        return [*state, *(_stacked(node, w, p, count + i, 0) for i, p in enumerate(scans))]

    return _body(node, ("loop", trips), "body", write)


def _declared(info: onnx.ValueInfoProto) -> Shape:
    """Shape that a body declares for its counter: (), or (1,) as the runtime follows it."""
    return (1,) * len(info.type.tensor_type.shape.dim)


def _trips(node: NodeAtX) -> int:
    """Count the iterations: by a scan output, else by another run that has one."""
    states = len(node.operands) - 2
    for result in node.results[states:]:
        if result is not None:
            return int(result.shape[0])
    graph = onnx.GraphProto()
    graph.CopyFrom(node.attr("body"))
    goes_on, counter = graph.output[0], f"{DOMAIN}:counter"
    graph.node.append(onnx.helper.make_node("Identity", [goes_on.name], [counter]))
    graph.output.append(onnx.helper.make_tensor_value_info(counter, onnx.TensorProto.BOOL, None))
    names = [f"{DOMAIN}:{i}" for i in range(states)] + [counter]
    del graph.output[1 + states : -1]
    proto = onnx.helper.make_node("Loop", node.node.inputs, names, body=graph)
    feeds = {o.name: o.native for o in node.operands if o} | dict(node.outer)
    kinds = {o.name: _held_kind(node, f"i{i}") for i, o in enumerate(node.operands) if o}
    given = [_info(name, value, kinds.get(name, 1)) for name, value in feeds.items()]
    whole = onnx.helper.make_graph([proto], "loop", given, [onnx.ValueInfoProto(name=counter)])
    imports = [onnx.helper.make_opsetid(domain, v) for domain, v in node.opsets.items()]
    model = onnx.helper.make_model(whole, opset_imports=imports, ir_version=10)
    return int(run(session(model), [counter], feeds)[counter].shape[0])


def _info(name: str, value: Array | list[Array], kind: int) -> onnx.ValueInfoProto:
    """Describe a tensor or a sequence."""
    if not isinstance(value, list):
        return value_info(name, value)
    return onnx.helper.make_tensor_sequence_value_info(name, kind, None)


def _stacked(node: NodeAtX, w: Writer, pieces: Sequence[str], i: int, axis: int) -> str:
    """Stack what the iterations made for output ``i`` of the node."""
    result: Array | None = node.results[i]
    if result is None:
        return ""
    if not result.size:
        return w.constant(np.asarray(result))
    shape = list(result.shape)
    shape[axis] = 1
    # Reshape has one form in all operator sets; Unsqueeze has not.
    lines = [w("Reshape", piece, w.ints(shape)) for piece in pieces]
    return w.joined(lines, axis)


@rule("Scan", status="unrolled")
def scan(node: NodeAtX) -> Body:
    """Every step over the scan inputs, each along its own axis and in its own direction."""
    states = len(node.operands) - node.attr("num_scan_inputs")
    scanned = range(states, len(node.operands))
    axes = _list(node, "scan_input_axes", len(scanned))
    axes = [axis % len(node.shape(i)) for i, axis in zip(scanned, axes, strict=True)]
    steps = node.shape(states)[axes[0]]

    def write(node: NodeAtX, w: Writer, graph: Subgraph) -> list[str | list[str]]:
        state = [f"i{i}" for i in range(states)]
        backwards = _list(node, "scan_input_directions", len(scanned))
        made: list[list[str]] = []
        for k in range(steps):
            at = [w.ints(steps - 1 - k if back else k) for back in backwards]
            places = zip(scanned, at, axes, strict=True)
            lines = [w("Gather", f"i{i}", index, axis=axis) for i, index, axis in places]
            outputs = graph(*state, *lines)
            state = outputs[:states]
            made.append(outputs[states:])
        return [*state, *_scan_outputs(node, w, made, states)]

    return _body(node, "scan", "body", write)


def _scan_outputs(
    node: NodeAtX, w: Writer, made: Sequence[Sequence[str]], states: int
) -> list[str]:
    """Stack the scan outputs, each along its own axis and in its own direction."""
    count = len(node.results) - states
    axes = _list(node, "scan_output_axes", count)
    backwards = _list(node, "scan_output_directions", count)
    stacks = []
    for j in range(count):
        pieces = [step[j] for step in made]
        result = node.results[states + j]
        axis = axes[j] % result.ndim if result is not None else 0
        stacks.append(_stacked(node, w, pieces[::-1] if backwards[j] else pieces, states + j, axis))
    return stacks


@rule("SequenceMap", status="unrolled")
def sequence_map(node: NodeAtX) -> Body:
    """The body for every tensor of the first sequence, with those beside it in the others."""
    values: list[Any] = [operand.native for operand in node.operands if operand]

    def write(node: NodeAtX, w: Writer, graph: Subgraph) -> list[str | list[str]]:
        made = []
        for k in range(len(values[0])):
            names = [_names(f"i{i}", value) for i, value in enumerate(values)]
            pairs = zip(names, values, strict=True)
            made.append(graph(*(n[k] if isinstance(v, list) else n[0] for n, v in pairs)))
        return [[step[j] for step in made] for j in range(len(node.results))]

    return _body(node, ("map", len(values[0])), "body", write)


def _list(node: NodeAtX, name: str, count: int) -> list[int]:
    """Read a list attribute that is all zeros where it is left out."""
    given = node.attr(name)
    return [0] * count if given is None else list(given)[:count]
