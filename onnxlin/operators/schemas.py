"""What an operator's schema says: attribute defaults, types, and where it has an output."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import onnx

from onnxlin.graph import Node
from onnxlin.runtime.installed import own_defaults, own_types


class Types(NamedTuple):
    """Types that the inputs and outputs of an operator may have, ``tensor(float)`` and the like.

    The last of a side stands for as many tensors as a node has there.
    """

    inputs: tuple[frozenset[str], ...]
    outputs: tuple[frozenset[str], ...]


def default_values(op_type: str, domain: str) -> dict[str, onnx.AttributeProto]:
    """Return the defaults of an operator's attributes, {} for an operator that nobody knows.

    The onnx package has the standard domains; the runtime has its own operators beside them.
    """
    try:
        schema = onnx.defs.get_schema(op_type, domain=domain)
    except onnx.defs.SchemaError:
        return own_defaults().get((domain, op_type), {})
    given = ((name, a.default_value) for name, a in schema.attributes.items())
    return {name: value for name, value in given if value.name}


@cache
def allowed_types(op_type: str, domain: str) -> Types:
    """Return the types of an operator's tensors; none for an operator that nobody knows."""
    try:
        schema: Any = onnx.defs.get_schema(op_type, domain=domain)
    except onnx.defs.SchemaError:
        return Types(*own_types(op_type, domain))
    sides = (schema.inputs, schema.outputs)
    return Types(*(tuple(frozenset(formal.types) for formal in side) for side in sides))


def output_position(node: Node, opset: int, output: str) -> int | None:
    """Where the schema of an operator set has an output; None if it has no such output."""
    try:
        outputs = onnx.defs.get_schema(node.op_type, opset, node.domain).outputs
    except onnx.defs.SchemaError:
        return None  # the operator itself is newer
    return next((i for i, o in enumerate(outputs) if o.name == output), None)


@cache
def needed_inputs(op_type: str, version: int, domain: str) -> tuple[int, ...] | None:
    """Places of the inputs that an operator cannot do without; None if nobody knows it."""
    try:
        schema: Any = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    return tuple(i for i, formal in enumerate(schema.inputs) if formal.option == single)
