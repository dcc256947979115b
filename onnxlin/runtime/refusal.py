"""What to do about a model that onnxruntime refuses to load, read off what it says."""

from __future__ import annotations

import re

import onnx

from onnxlin.runtime.installed import cpu_versions

LONGEST = 2000  # characters of a message that are looked at
OLDEST = 7  # onnxruntime has no kernels for most operators of older operator sets

KERNEL = re.compile(r"NOT_IMPLEMENTED.*implementation for (?P<op>\w+)\((?P<version>\d+)\)")
OPSET = re.compile(r"official support for domain ai\.onnx is till opset (?P<newest>\d+)")
IR = re.compile(r"Unsupported model IR version: \d+, max supported IR version: (?P<newest>\d+)")
UNKNOWN = re.compile(r"(?P<op>\S+?)\(-?\d+\) is not a registered function/op")
CONVERT = "Convert it, onnx.version_converter.convert_version(model, {0}), or update onnxruntime"


def cure(text: str, model: onnx.ModelProto) -> str:
    """Say in a sentence what helps; "" where that cannot be told.

    Parameters
    ----------
    text : str
        What onnxruntime said.
    model : onnx.ModelProto
    """
    # The patterns take the square of a name's length, and a stranger's may be long.
    text = text[:LONGEST]
    if found := IR.search(text):
        return (
            f"Its file format is newer than this onnxruntime: set model.ir_version = "
            f"{found['newest']} and save it, or update onnxruntime."
        )
    if found := OPSET.search(text):
        return f"Its operator set is newer than this onnxruntime. {_convert(int(found['newest']))}."
    if found := UNKNOWN.search(text):
        return (
            f"{found['op']} is none of onnxruntime's operators. Choose inputs= or outputs= that "
            "leave it out, or write it with standard ones."
        )
    if found := KERNEL.search(text):
        newest = _runnable(model)
        if newest is not None and not _covered(model, found["op"], int(found["version"])):
            return (
                f"It has kernels of {found['op']} for older operator sets only. {_convert(newest)}."
            )
        return (
            "It has no CPU kernel of that operator for this element type and operator set. Export "
            "the model in float32: dtype=numpy.float64 composes its map in double all the same."
        )
    return ""


def _convert(opset: int) -> str:
    return CONVERT.format(opset)


def _covered(model: onnx.ModelProto, op: str, version: int) -> bool:
    """Whether any CPU kernel of an operator is of this version of its schema."""
    domains = {node.domain for node in model.graph.node if node.op_type == op} or {""}
    return any(
        first <= version <= last for domain in domains for first, last in cpu_versions(domain, op)
    )


def _runnable(model: onnx.ModelProto) -> int | None:
    """Newest operator set, older than the model's, of which there are kernels for all its nodes."""
    given = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    ops = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
    for opset in range(given - 1, OLDEST - 1, -1):
        if all(_has_kernel(op, opset) for op in ops):
            return opset
    return None


def _has_kernel(op: str, opset: int) -> bool:
    try:
        since = onnx.defs.get_schema(op, opset, "").since_version
    except onnx.defs.SchemaError:
        return False
    # Operators that are functions of others need no kernel of their own.
    known = cpu_versions("", op)
    return not known or any(first <= since <= last for first, last in known)
