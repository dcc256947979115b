"""Attribute defaults: what an operator's newest schema says, whoever defines it."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
from onnxruntime.capi import onnxruntime_pybind11_state as runtime


def default_values(op_type: str, domain: str) -> dict[str, onnx.AttributeProto]:
    """Return the defaults of an operator's attributes, {} for an operator that nobody knows.

    The onnx package has the standard domains; the runtime has its own operators beside them.
    """
    try:
        schema = onnx.defs.get_schema(op_type, domain=domain)
    except onnx.defs.SchemaError:
        return _runtime_defaults().get((domain, op_type), {})
    given = ((name, a.default_value) for name, a in schema.attributes.items())
    return {name: value for name, value in given if value.name}


@cache
def _runtime_defaults() -> dict[tuple[str, str], dict[str, onnx.AttributeProto]]:
    """Defaults of the operators that the onnx package does not know, newest version."""
    newest: dict[tuple[str, str], Any] = {}
    for schema in runtime.get_all_operator_schema():
        key = (schema.domain, schema.name)
        known = newest.get(key)
        if known is None or known.since_version < schema.since_version:
            newest[key] = schema
    return {key: _defaults(s) for key, s in newest.items() if not onnx.defs.has(key[1], key[0])}


def _defaults(schema: Any) -> dict[str, onnx.AttributeProto]:
    # The runtime's schemas hold them in serialised form.
    data = {name: a._default_value for name, a in schema.attributes.items()}
    return {name: onnx.AttributeProto.FromString(value) for name, value in data.items() if value}
