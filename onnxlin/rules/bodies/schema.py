"""Operators linearised as the function body that their schema gives them."""

from __future__ import annotations

from typing import Any

import onnx
import onnx.inliner

from onnxlin.primitives import Array
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.registry import RULES, rule


def one_node_model(node: NodeAtX, opset: int) -> onnx.ModelProto:
    """The node alone, in its newest form, with inputs ``i0, i1, ...`` and outputs ``o0, ...``."""
    helper = onnx.helper
    inputs = [f"i{i}" if node.has(i) else "" for i in range(len(node.operands))]
    outputs = [f"o{i}" if name else "" for i, name in enumerate(node.node.outputs)]
    attributes = {name: node.node.attributes[name] for name in node.node.given}
    proto = helper.make_node(node.op_type, inputs, outputs, domain=node.node.domain, **attributes)
    given = [_info(name, node.operand(i).native) for i, name in enumerate(inputs) if name]
    made = [_info(name, node.results[i]) for i, name in enumerate(outputs) if name]
    graph = helper.make_graph([proto], "body", given, made)
    imports = [helper.make_opsetid("", opset)]
    if node.node.domain:
        version = onnx.defs.get_schema(node.op_type, domain=node.node.domain).since_version
        imports.append(helper.make_opsetid(node.node.domain, version))
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _info(name: str, value: Array | None) -> onnx.ValueInfoProto:
    assert value is not None
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)


def feeds_of(node: NodeAtX) -> dict[str, str]:
    """Body input -> tensor, for `one_node_model`."""
    return {f"i{i}": name for i, name in enumerate(node.node.inputs) if name}


def outputs_of(node: NodeAtX) -> list[str]:
    """Body output for every output of the node, for `one_node_model`."""
    return [f"o{i}" if name else "" for i, name in enumerate(node.node.outputs)]


def schema_body(node: NodeAtX) -> Body:
    """Open the function body of the operator's schema."""
    node.ignore(*node.node.given)

    def make() -> onnx.ModelProto:
        model = one_node_model(node, onnx.defs.onnx_opset_version())
        function = _function(model)
        # All that stands outside of the function is its call: its operator sets are the model's.
        del model.opset_import[:]
        model.opset_import.extend(function.opset_import)
        model.opset_import.append(onnx.helper.make_opsetid(function.domain, 1))
        model.graph.node[0].domain = function.domain
        model.functions.append(function)
        return onnx.inliner.inline_local_functions(model)

    return Body("schema", make, feeds_of(node), outputs_of(node))


def _function(model: onnx.ModelProto) -> onnx.FunctionProto:
    """Get the body of a lone node from its schema, as a local function of a domain of its own.

    The inliner's own way to it fails where the node leaves an optional input out.
    """
    call, opset = model.graph.node[0], onnx.defs.onnx_opset_version()
    schema: Any = onnx.defs.get_schema(call.op_type, opset, call.domain)  # untyped in onnx
    function = onnx.FunctionProto()
    if schema.has_context_dependent_function:
        # The body may be older than the operator set: operators that have not changed since.
        versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
        types = {i.name: i.type.SerializeToString() for i in model.graph.input}
        given = [types.get(name, onnx.TypeProto().SerializeToString()) for name in call.input]
        made = schema.get_context_dependent_function_with_opset_version(
            max(versions), call.SerializeToString(), given
        )
        function.ParseFromString(made)
    else:
        function.CopyFrom(schema.function_body)
    function.domain = "onnxlin.body"
    return function


def register_schema_bodies() -> None:
    """Register `schema_body` for every operator that has a body and no rule of its own."""
    schemas: list[Any] = list(onnx.defs.get_all_schemas())
    for schema in schemas:
        has_body = schema.has_function or schema.has_context_dependent_function
        if has_body and schema.domain == "" and (schema.domain, schema.name) not in RULES:
            rule(schema.name, domain=schema.domain, status="expanded")(schema_body)
