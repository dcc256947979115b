"""What the installed onnxruntime has: operators of its own, kernels of the CPU, and providers."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

OwnTypes = tuple[tuple[frozenset[str], ...], tuple[frozenset[str], ...]]


@cache
def own_defaults() -> dict[tuple[str, str], dict[str, onnx.AttributeProto]]:
    """Attribute defaults of the operators that the onnx package does not know, newest version.

    ``{(domain, operator): {attribute: default}}``
    """
    return {key: _defaults(schema) for key, schema in _own_schemas().items()}


@cache
def own_types(op_type: str, domain: str) -> OwnTypes:
    """Types that the inputs and outputs of one of these operators may have; none if unknown."""
    schema = _own_schemas().get((domain, op_type))
    if schema is None:
        return (), ()
    named = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    # A formal parameter has a type of its own, or the name of several.
    inputs, outputs = (
        tuple(frozenset(named.get(formal.typeStr, [formal.typeStr])) for formal in side)
        for side in (schema.inputs, schema.outputs)
    )
    return inputs, outputs


@cache
def _own_schemas() -> dict[tuple[str, str], Any]:
    newest: dict[tuple[str, str], Any] = {}
    for schema in runtime.get_all_operator_schema():
        key = (schema.domain, schema.name)
        known = newest.get(key)
        if known is None or known.since_version < schema.since_version:
            newest[key] = schema
    return {key: s for key, s in newest.items() if not onnx.defs.has(key[1], key[0])}


def _defaults(schema: Any) -> dict[str, onnx.AttributeProto]:
    # The runtime's schemas hold them in serialised form.
    data = {name: a._default_value for name, a in schema.attributes.items()}
    return {name: onnx.AttributeProto.FromString(value) for name, value in data.items() if value}


def knows(domain: str, op_type: str, opset: int) -> bool:
    """Whether onnxruntime has an operator: behind any other no map can begin."""
    return onnx.defs.has(op_type, opset, domain) or (domain, op_type) in _own_schemas()


@cache
def cpu_versions(domain: str, op_type: str) -> tuple[tuple[int, int], ...]:
    """Versions of an operator's schema, first and last, that kernels of the CPU provider are of."""
    found = {
        tuple(kernel.version_range)
        for kernel in runtime.get_all_opkernel_def()
        if (kernel.domain, kernel.op_name) == (domain, op_type)
        and kernel.provider == "CPUExecutionProvider"
    }
    return tuple(sorted((int(first), int(last)) for first, last in found))


@cache
def float16_kernels() -> frozenset[tuple[str, str]]:
    """``(domain, operator)`` of every kernel that computes in float16."""
    return frozenset(
        (kernel.domain, kernel.op_name)
        for kernel in runtime.get_all_opkernel_def()
        if any("tensor(float16)" in kinds for kinds in kernel.type_constraints.values())
    )


def providers() -> list[str]:
    """Execution providers that it is built with."""
    found: list[str] = runtime.get_available_providers()
    return found


def known_providers() -> list[str]:
    """Those that any build of it may have."""
    found: list[str] = runtime.get_all_providers()
    return found
