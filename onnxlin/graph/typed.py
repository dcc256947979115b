"""Element types of tensors, derived from what the file declares and what schemas say.

``onnx.shape_inference`` finds them as well, and dies of a segmentation fault where an operator
reads a type that is not known (LabelEncoder behind an operator without inference, say), or an
attribute that is out of range. Here nothing is run, and what cannot be told is left out.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import onnx

from onnxlin.graph.subgraphs import subgraphs

Types = MutableMapping[str, str]
"""Tensor -> type as schemas write it: ``tensor(float)``, ``seq(tensor(float))``."""

T, A = onnx.TensorProto, onnx.AttributeProto

_WORDS = {kind: f"tensor({name.lower()})" for name, kind in T.DataType.items()}
_KINDS = {word: kind for kind, word in _WORDS.items()}
_LABELS = frozenset({"tensor(string)", "tensor(int64)"})

_TELLING = frozenset({"to", "dtype", "output_dtype", "output_datatype", "stash_type"})
"""Attributes that say the type of an output."""

_PLAIN = {A.FLOAT: T.FLOAT, A.FLOATS: T.FLOAT, A.INT: T.INT64, A.INTS: T.INT64,
          A.STRING: T.STRING, A.STRINGS: T.STRING}  # fmt: skip

# Of outputs that no attribute tells of, by the text of the specification.
_UNTOLD = {
    "ConstantOfShape": "tensor(float)",
    "QuantizeLinear": "tensor(uint8)",
    "SequenceEmpty": "seq(tensor(float))",
}
# Where a body is handed the inputs of its node, one by one, what comes before its node's outputs.
_BEFORE = {"Loop": 1, "Scan": 0}


class _Side(NamedTuple):
    """A formal input or output: the name of its type, the types allowed, and if any may differ."""

    name: str
    allowed: frozenset[str]
    mixed: bool


class _Signature(NamedTuple):
    inputs: tuple[_Side, ...]
    outputs: tuple[_Side, ...]
    defaults: Mapping[str, int]
    labels: bool


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor of the main graph of which it can be told.

    Parameters
    ----------
    model : onnx.ModelProto
        Nodes sorted. Of one that is not, fewer are found.

    Returns
    -------
    dict
        Tensor -> ``onnx.TensorProto.*``; UNDEFINED for sequences, maps and optionals.
    """
    types = typed(model.graph, {}, {o.domain: o.version for o in model.opset_import})
    return {name: _KINDS.get(kind, T.UNDEFINED) for name, kind in types.items()}


def typed(graph: onnx.GraphProto, types: Types, opsets: Mapping[str, int]) -> Types:
    """Add the types of a graph's tensors to those known around it, and return them."""
    types.update(_declared(graph.input))
    types.update((t.name, _WORDS.get(t.data_type, "")) for t in graph.initializer)
    types.update(
        (t.values.name, _WORDS.get(t.values.data_type, "")) for t in graph.sparse_initializer
    )
    for node in graph.node:
        for name, kind in zip(node.output, _made(node, types, opsets), strict=False):
            if name and kind:
                types[name] = kind
    for name, kind in _declared((*graph.value_info, *graph.output)):
        types.setdefault(name, kind)
    return types


def _declared(infos: Sequence[onnx.ValueInfoProto]) -> Iterator[tuple[str, str]]:
    """Name and type of what says its type."""
    for info in infos:
        kind = _word(info.type)
        if kind:
            yield info.name, kind


def element_proto(word: str) -> onnx.TypeProto | None:
    """Write a type of the schemas as a proto, without a shape; None of what is left open."""
    kind = onnx.TypeProto()
    if word in _KINDS:
        kind.tensor_type.elem_type = _KINDS[word]
        return kind
    inner = element_proto(word[word.index("(") + 1 : -1]) if word.endswith(")") else None
    if inner is None:
        return None
    if word.startswith("seq("):
        kind.sequence_type.elem_type.CopyFrom(inner)
    elif word.startswith("optional("):
        kind.optional_type.elem_type.CopyFrom(inner)
    else:
        return None
    return kind


def _word(kind: onnx.TypeProto) -> str:
    """Write a type as schemas do; "" for one that is left open."""
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        return _WORDS.get(kind.tensor_type.elem_type, "") if kind.tensor_type.elem_type else ""
    if which == "sequence_type":
        return f"seq({_word(kind.sequence_type.elem_type)})"
    if which == "optional_type":
        return f"optional({_word(kind.optional_type.elem_type)})"
    return which or ""


def _made(node: onnx.NodeProto, types: Types, opsets: Mapping[str, int]) -> Iterator[str | None]:
    """Types of a node's outputs, None where they cannot be told."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    signature = _signature(node.op_type, opsets.get(domain, 1), domain)
    if signature is None:
        return
    bodies = [_ends(node, graph, types, opsets) for graph in subgraphs(node)]
    for i in range(len(node.output)):
        side = signature.outputs[min(i, len(signature.outputs) - 1)] if signature.outputs else None
        kind = _same(node, side, signature, types) if side is not None else None
        if kind is None and bodies and side is not None:
            found = {ends[i] if i < len(ends) else None for ends in bodies}
            kind = _fitting(found.pop(), side.allowed) if len(found) == 1 else None
        yield kind if kind or side is None else _told(node, side, signature, types)


def _same(node: onnx.NodeProto, side: _Side, signature: _Signature, types: Types) -> str | None:
    """Type of an output that has that of an input, or one type only."""
    if not side.mixed and signature.inputs:
        for i, name in enumerate(node.input):
            formal = signature.inputs[min(i, len(signature.inputs) - 1)]
            if formal.name == side.name and name in types:
                return types[name]
    return next(iter(side.allowed)) if len(side.allowed) == 1 else None


def _told(node: onnx.NodeProto, side: _Side, signature: _Signature, types: Types) -> str | None:
    """Type of an output by an attribute, or by what an operator makes of the types it reads."""
    own = {a.name: a for a in node.attribute}
    said = [_of_attribute(attribute) for attribute in own.values()]
    said += [_WORDS.get(n) for name, n in signature.defaults.items() if name not in own]
    told = next((kind for kind in said if _fitting(kind, side.allowed)), None)
    if told:
        return _fitting(told, side.allowed)
    if node.op_type in _UNTOLD:
        return _UNTOLD[node.op_type]
    if signature.labels and side.allowed == _LABELS:
        return _WORDS[T.STRING if "classlabels_strings" in own else T.INT64]
    for name in node.input:
        if name not in types:
            break
        for kind in _related(types[name], side.allowed):
            if kind in side.allowed:
                return kind
    # No tensor, whichever of the sequences or maps it is.
    tensors = any(kind.startswith("tensor(") for kind in side.allowed)
    return "?" if side.allowed and not tensors else None


def _fitting(kind: str | None, allowed: frozenset[str]) -> str | None:
    """Return a type that is allowed, or a sequence of it."""
    return next((k for k in (kind, f"seq({kind})") if k in allowed), None)


def _of_attribute(attribute: onnx.AttributeProto) -> str | None:
    """Type that an attribute tells of: by number, by name, or as that of the value it holds."""
    name, kind = attribute.name, attribute.type
    if name in _TELLING and kind == A.STRING:
        return f"tensor({attribute.s.decode('utf-8', 'replace').lower()})"
    if name == "type" and kind == A.TYPE_PROTO:
        return f"optional({_word(attribute.tp)})"
    number: int = T.UNDEFINED
    if name in _TELLING and kind == A.INT:
        number = attribute.i
    elif name.startswith("value") or name == "sparse_value":
        held = {A.TENSOR: attribute.t, A.SPARSE_TENSOR: attribute.sparse_tensor.values}
        number = held[kind].data_type if kind in held else _PLAIN.get(kind, T.UNDEFINED)
    return _WORDS.get(number)


def _related(kind: str, allowed: frozenset[str]) -> Iterator[str]:
    """Types that an operator may make of one that it reads."""
    if allowed == _LABELS and kind in _LABELS:
        yield from _LABELS - {kind}  # from a label to its number, and back
    # An optional is opened, a sequence is of tensors; an operator on sequences takes tensors, too.
    yield kind
    if kind.endswith(")"):
        yield kind[kind.index("(") + 1 : -1]
    yield f"seq({kind})"
    yield f"optional({kind})"


def _ends(
    node: onnx.NodeProto, graph: onnx.GraphProto, types: Types, opsets: Mapping[str, int]
) -> list[str | None]:
    """Types of what a graph inside a node hands on, one for each output of the node."""
    inner: Types = ChainMap({}, types)
    before = _BEFORE.get(node.op_type)
    if before is not None:
        for info, name in zip(graph.input, node.input, strict=False):
            if name in types:
                inner[info.name] = types[name]
    typed(graph, inner, opsets)
    return [inner.get(o.name) for o in graph.output][before or 0 :]


@cache
def _signature(op_type: str, version: int, domain: str) -> _Signature | None:
    """Read a schema once: its conversion to Python is slow; None for an unknown operator."""
    try:
        schema: Any = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    inputs, outputs = (
        tuple(_Side(f.type_str, frozenset(f.types), not f.is_homogeneous) for f in side)
        for side in (schema.inputs, schema.outputs)
    )
    attributes = schema.attributes
    defaults = {
        name: attributes[name].default_value.i
        for name in sorted(_TELLING & set(attributes))
        if attributes[name].default_value.type == A.INT
    }
    return _Signature(inputs, outputs, defaults, "classlabels_strings" in attributes)
