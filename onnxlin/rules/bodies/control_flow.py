"""If, Loop and Scan as they ran at x: the branch taken, the iterations one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin import limits
from onnxlin.lowering import example, is_traced
from onnxlin.primitives import Array, Shape
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Writer, value_info
from onnxlin.rules.bodies.unrolled import DOMAIN, Subgraph, body_around, held_kind, names_of
from onnxlin.rules.registry import rule
from onnxlin.runtime.opened import run, session

BRANCHES = ("then_branch", "else_branch")


@rule("If", status="unrolled")
def if_(node: NodeAtX) -> Body:
    """The branch taken at x; in a graph for any x, whichever of the two it takes there."""
    taken = node.native(0)
    if is_traced(taken):
        return body_around(node, "either", BRANCHES, _either)
    branch = BRANCHES[0] if taken.item() else BRANCHES[1]

    def write(_: NodeAtX, w: Writer, graph: Subgraph) -> list[str | list[str]]:
        if branch == BRANCHES[1]:
            # The inliner numbers calls: so its nodes are called as they are in a graph of both.
            w("nothing", domain=DOMAIN)
        return [*graph()]

    return body_around(node, branch, [branch], write)


def _either(node: NodeAtX, w: Writer, *branches: Subgraph) -> list[str | list[str]]:
    """Write both branches, and choose what each output is made by.

    Only where both make the same shapes: see `onnxlin.operators.shapes`.
    """
    condition = w("Reshape", "i0", w.ints(np.zeros(0)))
    pairs = zip(*(branch() for branch in branches), strict=True)
    wanted = zip(pairs, node.results, strict=True)
    return [w("Where", condition, *pair) if made is not None else "" for pair, made in wanted]


@rule("Loop", status="unrolled")
def loop(node: NodeAtX) -> Body:
    """Every iteration that ran at x; how many did may itself depend on x."""
    trips = _held_to(node, _trips(node))

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

    return body_around(node, ("loop", trips), ["body"], write)


def _held_to(node: NodeAtX, rounds: int) -> int:
    """Hold the rounds that are to be taken apart, each as its own nodes, to the limit."""
    limits.hold(
        "trips", rounds, f"{node.op_type} at node {node.node.name!r} went {rounds:,} rounds"
    )
    return rounds


def _declared(info: onnx.ValueInfoProto) -> Shape:
    """Shape that a body declares for its counter: (), or (1,) as the runtime follows it."""
    return (1,) * len(info.type.tensor_type.shape.dim)


def _trips(node: NodeAtX) -> int:
    """Count the iterations: by a scan output, else by another run that has one.

    Of tensors in a graph the examples serve: where values decide the count there is no graph.
    """
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
    feeds = {o.name: _held(o.native) for o in node.operands if o}
    feeds |= {name: _held(value) for name, value in node.outer.items()}
    kinds = {o.name: held_kind(node, f"i{i}") for i, o in enumerate(node.operands) if o}
    given = [_info(name, value, kinds.get(name, 1)) for name, value in feeds.items()]
    whole = onnx.helper.make_graph([proto], "loop", given, [onnx.ValueInfoProto(name=counter)])
    imports = [onnx.helper.make_opsetid(domain, v) for domain, v in node.opsets.items()]
    model = onnx.helper.make_model(whole, opset_imports=imports, ir_version=10)
    return int(run(session(model), [counter], feeds)[counter].shape[0])


def _held(value: Any) -> Any:
    """A tensor, or the tensors of a sequence, as numbers."""
    return [example(part) for part in value] if isinstance(value, list) else example(value)


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
        return w.constant(np.zeros(result.shape, result.dtype))
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
    steps = _held_to(node, node.shape(states)[axes[0]])

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

    return body_around(node, "scan", ["body"], write)


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
            names = [names_of(f"i{i}", value) for i, value in enumerate(values)]
            pairs = zip(names, values, strict=True)
            made.append(graph(*(n[k] if isinstance(v, list) else n[0] for n, v in pairs)))
        return [[step[j] for step in made] for j in range(len(node.results))]

    return body_around(node, ("map", len(values[0])), ["body"], write)


def _list(node: NodeAtX, name: str, count: int) -> list[int]:
    """Read a list attribute that is all zeros where it is left out."""
    given = node.attr(name)
    return [0] * count if given is None else list(given)[:count]
