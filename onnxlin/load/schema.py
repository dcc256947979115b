"""Nodes held against the schemas of their operators, before anything reads them by these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import onnx

from onnxlin.errors import ModelError
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.load.valid import named
from onnxlin.operators.schemas import needed_inputs
from onnxlin.operators.values import ALLOWED


class _Schema(NamedTuple):
    """How many inputs and outputs an operator has, which it needs, and types of attributes."""

    inputs: tuple[int, int]
    outputs: tuple[int, int]
    needed: tuple[int, ...]
    attributes: Mapping[str, int]
    required: tuple[str, ...]


def require_schemas(nodes: Iterable[onnx.NodeProto], opsets: Mapping[str, int]) -> None:
    """Raise unless all nodes, those inside of them too, have what their operators need.

    Attributes that an operator does not have are left to its rule.

    Raises
    ------
    ModelError
        It names the node.
    """
    for i, node in enumerate(nodes):
        domain = "" if node.domain == "ai.onnx" else node.domain
        if not domain and domain not in opsets:  # onnxruntime takes its newest, onnx refuses
            raise ModelError(
                f"{named(node, i)} is one of the standard operators, and the model imports no "
                "operator set of them. Say which: model.opset_import."
            )
        schema = _schema(node.op_type, opsets.get(domain, 1), domain)
        if schema is not None:
            found = _found(node, schema) or _other_value(node, domain)
            if found:
                raise ModelError(
                    f"{named(node, i)} {found}: it is no valid {node.op_type} of operator set "
                    f"{opsets.get(domain, 1)}. Export the model anew."
                )
        for graph in subgraphs(node):
            require_schemas(graph.node, opsets)


def _found(node: onnx.NodeProto, schema: _Schema) -> str:
    """Say what is wrong with a node; "" if nothing is."""
    for what, names, allowed in (
        ("inputs", node.input, schema.inputs), ("outputs", node.output, schema.outputs)
    ):  # fmt: skip
        if not allowed[0] <= len(names) <= allowed[1]:
            return f"has {len(names)} {what}, but takes {_range(allowed)}"
    missing = [i for i in schema.needed if i < len(node.input) and not node.input[i]]
    if missing:
        return f"leaves out its input {missing[0]}, which it needs"
    kinds = {attribute.name: attribute.type for attribute in node.attribute}
    for name in schema.required:
        if name not in kinds:
            return f"lacks the attribute {name!r}"
    for name, kind in kinds.items():
        wanted = schema.attributes.get(name, kind)
        if kind != wanted:
            written, taken = (onnx.AttributeProto.AttributeType.Name(k) for k in (kind, wanted))
            return f"has its attribute {name!r} as {written}, and it is {taken}"
    return ""


def _other_value(node: onnx.NodeProto, domain: str) -> str:
    """Say which attribute has none of the values that it may have; "" if there is none."""
    for attribute in node.attribute:
        allowed = ALLOWED.get((domain, node.op_type, attribute.name))
        value = onnx.helper.get_attribute_value(attribute) if allowed else None
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        if allowed and value not in allowed:
            listed = ", ".join(map(repr, allowed))
            return f"has {attribute.name}={value!r}, which can be {listed}"
    return ""


def _range(allowed: Sequence[int]) -> str:
    low, high = allowed
    if high >= _MANY:
        return f"{low} or more"
    return str(low) if low == high else f"{low} to {high}"


_MANY = 2**31 - 1


@cache
def _schema(op_type: str, version: int, domain: str) -> _Schema | None:
    try:
        schema: Any = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    attributes = schema.attributes
    return _Schema(
        (schema.min_input, schema.max_input),
        (schema.min_output, schema.max_output),
        needed_inputs(op_type, version, domain) or (),
        {name: int(a.type.value) for name, a in attributes.items()},
        tuple(sorted(name for name, a in attributes.items() if a.required)),
    )
