"""Subgraphs of a node called in its body, once or many times, and opened there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx.inliner

from onnxlin.graph.sequences import element
from onnxlin.load import hold_asked
from onnxlin.primitives import Array
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Writer

DOMAIN = "unrolled"


class Subgraph:
    """A subgraph of a node as a function that the node's body calls, once or many times.

    Parameters
    ----------
    w : Writer
        Writes the body. Tensors that the subgraph reads from outside are its inputs ``x0, ...``.
    node : NodeAtX
    attribute : str
        The attribute of the node that holds it.
    """

    def __init__(self, w: Writer, node: NodeAtX, attribute: str) -> None:
        graph = node.attr(attribute)
        self.w, self._graph, self._name = w, graph, attribute
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
            attribute,
            [*(given.name for given in graph.input), *inner, *node.outer],
            ends,
            [*graph.node, *handed],
            [onnx.helper.make_opsetid(domain, v) for domain, v in node.opsets.items()],
        )

    def __call__(self, *inputs: str) -> list[str]:
        """Call it: one tensor an input of the subgraph -> one an output."""
        count = len(self._graph.output)
        return self.w.several(self._name, count, *inputs, *self._held, domain=DOMAIN)


def _copied(w: Writer, tensor: onnx.TensorProto) -> str:
    return w.constant(onnx.numpy_helper.to_array(tensor))


Write = Callable[..., "list[str | list[str]]"]
"""Writes the nodes around the subgraphs that it is given, after the node and a `Writer`; answers
with a tensor, or the tensors of a sequence, for each output of the node."""


def body_around(node: NodeAtX, key: object, attributes: Sequence[str], write: Write) -> Body:
    """Write a body around subgraphs of the node, and open the calls of them."""
    node.ignore(*node.node.given)
    inside = {f"i{i}": (o.name, o.native) for i, o in enumerate(node.operands) if o}
    inside |= {f"x{i}": pair for i, pair in enumerate(node.outer.items())}

    def make() -> onnx.ModelProto:
        w = Writer(np.float32)
        given: dict[str, Array] = {}
        for name, (_, value) in inside.items():
            given |= _given(node, w, name, value)
        subgraphs = [Subgraph(w, node, attribute) for attribute in attributes]
        made = zip(write(node, w, *subgraphs), node.results, strict=True)
        outputs: dict[str, Array] = {}
        for i, (ends, result) in enumerate(made):
            outputs |= _ends(w, f"o{i}", ends, result)
        model = w.model(given, outputs, [*node.opsets.items(), (DOMAIN, 1)])
        functions = [subgraph.function for subgraph in subgraphs]
        model.functions.extend([_nothing(functions[0].opset_import), *functions])
        hold_asked(model)
        return onnx.inliner.inline_local_functions(model)

    pairs = (zip(names_of(n, v), names_of(t, v), strict=True) for n, (t, v) in inside.items())
    feeds = {name: tensor for pair in pairs for name, tensor in pair}
    results = (names_of(f"o{i}", v) if v is not None else [""] for i, v in enumerate(node.results))
    return Body(key, make, feeds, [name for names in results for name in names])


def _nothing(imports: Sequence[onnx.OperatorSetIdProto]) -> onnx.FunctionProto:
    """A call that makes a constant which nobody reads."""
    zero = onnx.numpy_helper.from_array(np.zeros(()))
    made = onnx.helper.make_node("Constant", [], ["nothing"], value=zero)
    return onnx.helper.make_function(DOMAIN, "nothing", [], ["nothing"], [made], imports)


def names_of(name: str, value: Array | list[Array]) -> list[str]:
    """Name the tensors of a sequence; a tensor is called as it is."""
    return [element(name, k) for k in range(len(value))] if isinstance(value, list) else [name]


def _given(node: NodeAtX, w: Writer, name: str, value: Array | list[Array]) -> dict[str, Array]:
    """Declare an input of the body; a sequence is put together from its tensors."""
    if not isinstance(value, list):
        return {name: value}
    names = names_of(name, value)
    made = onnx.helper.make_node("SequenceConstruct", names, [name])
    if not names:
        made = onnx.helper.make_node("SequenceEmpty", [], [name], dtype=held_kind(node, name))
    w.nodes.append(made)
    return dict(zip(names, value, strict=True))


def held_kind(node: NodeAtX, name: str) -> int:
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
    names = names_of(name, result)
    if isinstance(made, str):
        held = isinstance(result, list)
        made = [w("SequenceAt", made, w.ints(k)) if held else made for k, _ in enumerate(names)]
    w.nodes.extend(
        onnx.helper.make_node("Identity", [a], [b]) for a, b in zip(made, names, strict=True)
    )
    return dict(zip(names, result if isinstance(result, list) else [result], strict=True))
