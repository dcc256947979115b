"""Nodes and models in their newest form, read from protos and written back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from google.protobuf.message import Message

from onnxlin.errors import FOREIGN, ModelError
from onnxlin.graph.graph import Graph, Node
from onnxlin.graph.subgraphs import reads, subgraphs
from onnxlin.graph.weights import stored
from onnxlin.load.normalise import Context, Draft, normalise, to_proto

# onnxruntime has no kernels for most operators of older operator sets.
OLDEST_RUNNABLE = 7


# The newest operator set that every supported onnxruntime runs.
NEWEST_RUNNABLE = 23


def domain_of(domain: str) -> str:
    """The standard domain under its one name."""
    return "" if domain == "ai.onnx" else domain


def draft_of(node: onnx.NodeProto, opsets: Mapping[str, int]) -> Draft:
    """Read a node of a file, with the version of its schema."""
    domain = domain_of(node.domain)
    try:
        version = onnx.defs.get_schema(node.op_type, opsets.get(domain, 1), domain).since_version
    except onnx.defs.SchemaError:
        version = opsets.get(domain, 1)  # an operator of a domain that onnx does not know
    attributes = {a.name: attribute_of(a) for a in node.attribute}
    inputs, outputs = list(node.input), list(node.output)
    return Draft(node.name, node.op_type, domain, inputs, outputs, attributes, version)


def brought(node: onnx.NodeProto, opsets: Mapping[str, int], context: Context) -> list[Draft]:
    """Bring a node of a file to the newest form of its operator.

    This is the one place where what NumPy and Python raise on attributes and constants that no
    operator can have becomes an error of the model.

    Raises
    ------
    ModelError
        Its attributes or constants do not go together.
    UnsupportedNodeError
        The newest form cannot express this use of an old one.
    """
    try:
        return normalise(draft_of(node, opsets), context)
    except FOREIGN as error:
        kind, version = type(error).__name__, opsets.get(domain_of(node.domain))
        raise ModelError(
            f"Node {node.name!r} ({node.op_type}, operator set {version}) cannot be brought "
            "to the newest form of its operator, as its attributes or constants do not fit it: "
            f"{kind}: {error}. Export the model anew."
        ) from error


def attribute_of(attribute: onnx.AttributeProto) -> Any:
    """Read an attribute as plain Python values."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [item.decode("utf-8", "replace") for item in value]
    # Repeated protobuf fields compare and slice unlike lists.
    scalar = isinstance(value, int | float | str | Message)
    return value if scalar else list(value)


def rebuilt(proto: onnx.ModelProto, drafts: list[Draft], context: Context) -> onnx.ModelProto:
    """Write the newest form back as a model, for files that have no other runnable form."""
    new = onnx.ModelProto()
    new.CopyFrom(proto)
    new.ir_version = max(new.ir_version, 4)
    opsets = {o.domain: o.version for o in proto.opset_import}
    del new.graph.node[:], new.opset_import[:]
    new.graph.node.extend(_newest_proto(draft, opsets, context) for draft in drafts)
    known = {t.name for t in new.graph.initializer}
    read = {name for node in new.graph.node for name in reads(node)} | {*_outputs(new.graph)}
    del new.graph.initializer[:]
    new.graph.initializer.extend(t for t in proto.graph.initializer if t.name in read)
    added = [(n, a) for n, a in context.constants.items() if n in read and n not in known]
    new.graph.initializer.extend(stored(name, array) for name, array in added)
    opsets[""] = NEWEST_RUNNABLE
    new.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in opsets.items())
    return new


def _newest_proto(draft: Draft, opsets: Mapping[str, int], context: Context) -> onnx.NodeProto:
    """Write a draft, and the nodes inside its subgraphs, in newest form."""
    node = to_proto(draft)
    for graph in subgraphs(node):
        inner = [d for child in graph.node for d in brought(child, opsets, context)]
        del graph.node[:]
        graph.node.extend(_newest_proto(d, opsets, context) for d in inner)
    return node


def newest_node(graph: Graph, node: Node) -> onnx.NodeProto:
    """Write a node of a graph as one of the operator set `NEWEST_RUNNABLE`."""
    attributes = {name: node.attributes[name] for name in node.given}
    ends = (list(node.inputs), list(node.outputs))
    draft = Draft(node.name, node.op_type, node.domain, *ends, attributes, NEWEST_RUNNABLE)
    return _newest_proto(draft, graph.opsets, Context(dict(graph.initialisers), {}))


def _outputs(graph: onnx.GraphProto) -> list[str]:
    return [output.name for output in graph.output]
