"""Read a model and make it a `Graph`: functions inlined, nodes sorted and in newest form."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import google.protobuf.message
import onnx
import onnx.inliner

from onnxlin.errors import ModelError
from onnxlin.graph import Graph, Node
from onnxlin.normalise import Context, Draft, normalise, to_proto
from onnxlin.runtime_types import runtime_types
from onnxlin.schemas import default_values
from onnxlin.tensors import infer_types, tensor_type, to_array, to_dense
from onnxlin.weights import is_beside, lightened, stored

Model = str | os.PathLike[str] | bytes | onnx.ModelProto

# onnxruntime has no kernels for most operators of older operator sets.
OLDEST_RUNNABLE = 7
# The newest operator set that every supported onnxruntime runs.
NEWEST_RUNNABLE = 23


def load(model: Model) -> Graph:
    """Read, inline, sort and normalise a model.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        Left unchanged.

    Raises
    ------
    ModelError
        The file is missing, is no ONNX model, or its nodes form a cycle.
    """
    light, weights = lightened(read(model))
    proto = _prepared(light)
    elem_types, ranks = infer_types(proto)
    inside = (t for t in proto.graph.initializer if not is_beside(t))
    initialisers = weights | {t.name: to_array(t) for t in inside}
    initialisers |= {t.values.name: to_dense(t) for t in proto.graph.sparse_initializer}
    opsets = {o.domain: o.version for o in proto.opset_import}
    context = Context(dict(initialisers), ranks, elem_types)
    drafts: list[tuple[Draft, onnx.NodeProto]] = []
    for node in proto.graph.node:
        newest = normalise(_draft(node, opsets), context)
        drafts += [(draft, node) for draft in newest]
    if len(drafts) > len(proto.graph.node) or opsets.get("", NEWEST_RUNNABLE) < OLDEST_RUNNABLE:
        proto = _rebuilt(proto, [draft for draft, _ in drafts], context)
        elem_types |= infer_types(proto)[0]
    known = set(initialisers)
    foreign = [o for n in proto.graph.node for o in n.output if o and o not in elem_types]
    if foreign:
        elem_types |= runtime_types(proto, foreign, context.constants)
    return Graph(
        nodes=tuple(_node(draft, source) for draft, source in drafts),
        inputs={i.name: tensor_type(i) for i in proto.graph.input if i.name not in known},
        outputs=tuple(o.name for o in proto.graph.output),
        initialisers=context.constants,
        elem_types=elem_types,
        model=proto,
        opsets=opsets,
    )


def read(model: Model) -> onnx.ModelProto:
    """Read a path or bytes into a `ModelProto`; hand a `ModelProto` through."""
    if isinstance(model, onnx.ModelProto):
        proto = model
    elif isinstance(model, bytes):
        proto = _parsed(model, "the bytes given")
    elif isinstance(model, str | os.PathLike):
        proto = _read_file(os.fspath(model))
    else:
        kind = type(model).__name__
        raise ModelError(f"model must be a path, bytes or onnx.ModelProto, not {kind}.")
    if not proto.graph.output:
        raise ModelError("The model has no outputs: not an ONNX model, or an empty one.")
    return proto


def _read_file(path: str) -> onnx.ModelProto:
    if not os.path.exists(path):
        raise ModelError(f"No such model file: {path!r}.")
    try:
        return onnx.load(path)
    except (google.protobuf.message.DecodeError, ValueError, OSError, TypeError) as error:
        raise ModelError(f"{path!r} is not a readable ONNX model: {error}.") from error


def _parsed(data: bytes, what: str) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(data)
    except google.protobuf.message.DecodeError as error:
        raise ModelError(f"{what} are not an ONNX model: {error}.") from error


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a model to one import a domain, functions inlined and nodes sorted."""
    proto = model
    versions: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = _domain(entry.domain)
        versions[domain] = max(entry.version, versions.get(domain, 0))
    del proto.opset_import[:]
    proto.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in versions.items())
    # Sorting comes first: the inliner reads nodes in order.
    _sort(proto.graph)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    _name_nodes(proto.graph.node)
    return proto


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _sort(graph: onnx.GraphProto) -> None:
    """Order the nodes so that each comes after those that it reads; keep the order if it is."""
    made = {name for node in graph.node for name in node.output if name}
    ready = {""} | {i.name for i in graph.input} - made
    waiting, ordered = list(graph.node), []
    while waiting:
        later = []
        for node in waiting:
            if all(name in ready or name not in made for name in _reads(node)):
                ordered.append(node)
                ready.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            names = ", ".join(repr(node.name or node.output[0]) for node in later[:5])
            raise ModelError(f"The nodes form a cycle, or one tensor is made twice: {names}.")
        waiting = later
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else attribute.graphs)


def implicit(node: onnx.NodeProto) -> list[str]:
    """Tensors that the subgraphs of a node read from outside."""
    outer: dict[str, None] = {}
    for graph in _subgraphs(node):
        inner = {i.name for i in graph.input} | {t.name for t in graph.initializer}
        inner |= {name for child in graph.node for name in child.output}
        reads = [name for child in graph.node for name in _reads(child)]
        reads += [o.name for o in graph.output]
        outer |= {name: None for name in reads if name and name not in inner}
    return list(outer)


def _reads(node: onnx.NodeProto) -> list[str]:
    return [*node.input, *implicit(node)]


def prefixed(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """Return a copy with a prefix before every tensor name, those in subgraphs too."""
    new = onnx.ModelProto()
    new.CopyFrom(model)
    _prefix(new.graph, prefix)
    return new


def _prefix(graph: onnx.GraphProto, prefix: str) -> None:
    sparse = [part for t in graph.sparse_initializer for part in (t.values, t.indices)]
    ends = (*graph.input, *graph.output, *graph.value_info)
    for named in (*ends, *graph.initializer, *sparse):
        named.name = prefix + named.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [prefix + name if name else "" for name in names]
        for inner in _subgraphs(node):
            _prefix(inner, prefix)


def _name_nodes(nodes: Sequence[onnx.NodeProto]) -> None:
    """Make every node's name its own: onnxruntime refuses doubles, and maps are keyed by it.

    A node without a name is called after its operator and first output.
    """
    counts = Counter(node.name for node in nodes)
    taken = set(counts)
    for node in nodes:
        if not node.name or counts[node.name] > 1:
            first = next((o for o in node.output if o), "")
            name = f"{node.name or node.op_type}:{first}"
            while name in taken:
                name += "'"
            taken.add(name)
            node.name = name


def _draft(node: onnx.NodeProto, opsets: Mapping[str, int]) -> Draft:
    domain = _domain(node.domain)
    try:
        version = onnx.defs.get_schema(node.op_type, opsets.get(domain, 1), domain).since_version
    except onnx.defs.SchemaError:
        version = opsets.get(domain, 1)  # an operator of a domain that onnx does not know
    attributes = {a.name: _attribute(a) for a in node.attribute}
    inputs, outputs = list(node.input), list(node.output)
    return Draft(node.name, node.op_type, domain, inputs, outputs, attributes, version)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [item.decode("utf-8", "replace") for item in value]
    # Repeated protobuf fields compare and slice unlike lists.
    scalar = isinstance(value, int | float | str) or hasattr(value, "SerializeToString")
    return value if scalar else list(value)


def _node(draft: Draft, source: onnx.NodeProto) -> Node:
    return Node(
        name=draft.name,
        op_type=draft.op_type,
        domain=draft.domain,
        inputs=_without_trailing_blanks(draft.inputs),
        outputs=_without_trailing_blanks(draft.outputs),
        attributes=_defaults(draft.op_type, draft.domain) | draft.attributes,
        given=frozenset(draft.attributes),
        source=source,
        implicit=tuple(implicit(source)),
    )


def _without_trailing_blanks(names: list[str]) -> tuple[str, ...]:
    kept = len(names)
    while kept and not names[kept - 1]:
        kept -= 1
    return tuple(names[:kept])


def _defaults(op_type: str, domain: str) -> dict[str, Any]:
    """Attribute defaults of the newest schema: the one place where they come from."""
    given = default_values(op_type, domain)
    return {name: _attribute(value) for name, value in given.items()}


def _rebuilt(proto: onnx.ModelProto, drafts: list[Draft], context: Context) -> onnx.ModelProto:
    """Write the newest form back as a model, for files that have no other runnable form."""
    new = onnx.ModelProto()
    new.CopyFrom(proto)
    new.ir_version = max(new.ir_version, 4)
    opsets = {o.domain: o.version for o in proto.opset_import}
    del new.graph.node[:], new.opset_import[:]
    new.graph.node.extend(_newest_proto(draft, opsets, context) for draft in drafts)
    known = {t.name for t in new.graph.initializer}
    read = {name for node in new.graph.node for name in _reads(node)} | {*_outputs(new.graph)}
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
    for graph in _subgraphs(node):
        inner = [d for child in graph.node for d in normalise(_draft(child, opsets), context)]
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
