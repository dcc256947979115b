"""What a model states, held against itself before anything reads it.

onnx, protobuf and NumPy raise what they please on a model that contradicts itself, where it is
read and of what nobody knows. Here it is found first, and told with the node or the tensor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import Any

import onnx

from onnxlin import limits
from onnxlin.errors import ModelError
from onnxlin.graph.tensors import to_array, to_dense
from onnxlin.graph.weights import is_beside

A = onnx.AttributeProto
_ELEM_TYPES = frozenset(onnx.TensorProto.DataType.values())
_NEWEST = 2**31 - 1  # of operator sets: schemas are looked up by such an integer
_FIELDS = {
    A.FLOAT: "f", A.INT: "i", A.STRING: "s", A.TENSOR: "t", A.GRAPH: "g", A.SPARSE_TENSOR:
    "sparse_tensor", A.TYPE_PROTO: "tp", A.FLOATS: "floats", A.INTS: "ints", A.STRINGS: "strings",
    A.TENSORS: "tensors", A.GRAPHS: "graphs", A.SPARSE_TENSORS: "sparse_tensors",
    A.TYPE_PROTOS: "type_protos",
}  # fmt: skip
"""Type of an attribute -> the field that holds it."""

Scopes = tuple[Set[str], ...]


def require_valid(model: onnx.ModelProto) -> None:
    """Raise unless every name is text, every tensor is as large as it says, and all is made once.

    Weights that lie inside are not read here, but where they are taken out of the model.

    Raises
    ------
    ModelError
        It names the node or tensor.
    """
    where = "of the model"
    _require_text(where, [model.producer_name, model.producer_version, model.domain])
    _require_text(where, [t for e in model.metadata_props for t in (e.key, e.value)])
    _require_opsets(model.opset_import, "The model")
    for function in model.functions:
        _require_function(function)
    _require_graph(model.graph, (), "in the model's graph", 0)


def _require_text(where: str, values: Iterable[str | bytes]) -> None:
    """Raise unless all are text; protobuf hands over as bytes what is not UTF-8."""
    for value in values:
        if not isinstance(value, str):
            shown = value[:60].decode("utf-8", "backslashreplace")
            raise ModelError(
                f"A name {where} is not UTF-8 text: '{shown}'. Names in ONNX are; write the model "
                "anew with names that are text."
            )


def _require_opsets(imports: Iterable[onnx.OperatorSetIdProto], whose: str) -> None:
    for entry in imports:
        _require_text("of an operator set", [entry.domain])
        lowest = 1 if entry.domain in ("", "ai.onnx") else 0
        if not lowest <= entry.version <= _NEWEST:
            raise ModelError(
                f"{whose} imports operator set {entry.version} of domain {entry.domain!r}: there "
                f"is none. The newest that onnx knows is {onnx.defs.onnx_opset_version()}."
            )


def _require_function(function: onnx.FunctionProto) -> None:
    _require_text("of a function", [function.domain, function.name])
    _require_opsets(function.opset_import, f"Function {function.domain}.{function.name}")
    known = set(function.input) | {name for node in function.node for name in node.output}
    where = f"in function {function.domain}.{function.name}"
    _require_text(where, [*function.input, *function.output, *function.attribute])
    for i, node in enumerate(function.node):
        _require_text(where, [node.name, node.op_type, node.domain, *node.input, *node.output])
        _require_reads(node, (known,), i, where)
        _require_attributes(node, (known,), f"{named(node, i)} {where}", 0, references=True)
    _require_made(function.output, (known,), where)


def _require_graph(graph: onnx.GraphProto, around: Scopes, where: str, depth: int) -> None:
    limits.hold("nesting", depth, f"The graphs {where} lie {depth} inside of each other")
    made = _stated(graph, where)
    if depth:  # those of the model itself are read in a moment
        _require_readable(graph, where)
    for i, node in enumerate(graph.node):
        _require_text(where, [node.name, node.op_type, node.domain, *node.input, *node.output])
        for name in node.output:
            if name in made:
                raise ModelError(
                    f"{named(node, i)} {where} makes the tensor {name!r}, which an input, a weight "
                    "or another node makes, too. Every tensor is made once."
                )
            if name:
                made.add(name)
    scopes = (made, *around)
    for i, node in enumerate(graph.node):
        _require_reads(node, scopes, i, where)
        if node.attribute:
            _require_attributes(node, scopes, f"{named(node, i)} {where}", depth)
    _require_made([o.name for o in graph.output], scopes, where)


def _stated(graph: onnx.GraphProto, where: str) -> set[str]:
    """Names of the inputs and weights of a graph."""
    inputs = [info.name for info in graph.input]
    weights = [tensor.name for tensor in graph.initializer]
    _require_text(where, [graph.name, *inputs, *weights])
    for info in (*graph.input, *graph.output, *graph.value_info):
        _require_type(info, where)
    for tensor in graph.initializer:
        _require_dims(tensor, f"Weight {tensor.name!r} {where}")
    for sparse in graph.sparse_initializer:
        _require_text(where, [sparse.values.name])
        weights.append(sparse.values.name)
        _require_dims(sparse.values, f"Weight {sparse.values.name!r} {where}")
    for what, names in (("input", inputs), ("weight", weights)):
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise ModelError(f"Two {what}s {where} have the name {twice!r}.")
        if "" in names:
            raise ModelError(f"An {what} {where} has no name." if what == "input" else
                             f"A {what} {where} has no name.")  # fmt: skip
    return {*inputs, *weights}


def _require_readable(graph: onnx.GraphProto, where: str) -> None:
    """Raise where a weight of a graph inside a node does not hold what it states."""
    for tensor in graph.initializer:
        if not is_beside(tensor):
            to_array(tensor, f"Weight {tensor.name!r} {where}")
    for sparse in graph.sparse_initializer:
        to_dense(sparse, f"Weight {sparse.values.name!r} {where}")


def _require_type(info: onnx.ValueInfoProto, where: str) -> None:
    name, tensor = info.name, info.type.tensor_type
    _require_text(where, [name, *(dim.dim_param for dim in tensor.shape.dim)])
    if tensor.elem_type not in _ELEM_TYPES:
        raise ModelError(
            f"Tensor {name!r} {where} is of element type {tensor.elem_type}; there is none."
        )


def _require_dims(tensor: onnx.TensorProto, what: str) -> None:
    if tensor.data_type not in _ELEM_TYPES or not tensor.data_type:
        raise ModelError(f"{what} is of element type {tensor.data_type}; there is none.")
    if any(n < 0 for n in tensor.dims):
        raise ModelError(f"{what} has the dims {list(tensor.dims)}; none can be below 0.")


def _require_reads(node: onnx.NodeProto, scopes: Scopes, i: int, where: str) -> None:
    """Raise where a node is none, or reads what nobody makes."""
    if not node.op_type:
        raise ModelError(f"{named(node, i)} {where} names no operator.")
    for name in node.input:
        if name and not any(name in scope for scope in scopes):
            raise ModelError(
                f"{named(node, i)} {where} reads the tensor {name!r}, which no input, weight or "
                "node makes."
            )


def _require_attributes(
    node: onnx.NodeProto, scopes: Scopes, what: str, depth: int, *, references: bool = False
) -> None:
    """Raise where an attribute of a node, or a graph in it, is not what it says."""
    for attribute in node.attribute:
        _require_text(f"of an attribute of {what}", [attribute.name, attribute.ref_attr_name])
        if attribute.ref_attr_name:
            if references:
                continue
            raise ModelError(
                f"Attribute {attribute.name!r} of {what} refers to the attribute "
                f"{attribute.ref_attr_name!r} of a function; there are such in functions only."
            )
        _require_attribute(attribute, what)
        for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            _require_graph(inner, scopes, f"inside {what}", depth + 1)


def _require_attribute(attribute: onnx.AttributeProto, what: str) -> None:
    own = f"Attribute {attribute.name!r} of {what}"
    if attribute.type not in _FIELDS:
        raise ModelError(f"{own} is of type {attribute.type}; there is none.")
    field = _FIELDS[attribute.type]
    for other in _FIELDS.values():
        if other != field and _is_set(attribute, other):
            kind = A.AttributeType.Name(attribute.type)
            raise ModelError(f"{own} is of type {kind}, but holds {other!r}.")
    tensors = [attribute.t] if attribute.HasField("t") else attribute.tensors
    for tensor in tensors:
        _require_dims(tensor, own)
        to_array(tensor, own)
    sparse = attribute.sparse_tensor
    for tensor in [sparse] if attribute.HasField("sparse_tensor") else attribute.sparse_tensors:
        _require_dims(tensor.values, own)
        to_dense(tensor, own)


def _is_set(attribute: onnx.AttributeProto, field: str) -> bool:
    if field.endswith("s") and field != "s":
        values: Sequence[Any] = getattr(attribute, field)
        return len(values) > 0
    return attribute.HasField(field)


def _require_made(names: Iterable[str], scopes: Scopes, where: str) -> None:
    for name in names:
        if not any(name in scope for scope in scopes):
            raise ModelError(
                f"The output {name!r} {where} is made by no node, and is no input and no weight."
            )


def named(node: onnx.NodeProto, i: int) -> str:
    """Say which node it is; one without a name is told by what it makes."""
    own = node.name or next((name for name in node.output if name), "")
    return f"Node {own!r} ({node.op_type})" if own else f"Node {i} ({node.op_type})"
