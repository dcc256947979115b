"""Functions of a model opened where they are called, also those of another operator set.

A function imports operator sets of its own. onnxruntime does not look at the versions: it reads the
nodes of a function as nodes of the model's operator sets, and refuses the model where they are none
(seen with 1.23 to 1.32). F is what onnxruntime computes, so such nodes are read likewise; functions
that it refuses are converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
import onnx.inliner

from onnxlin.errors import ModelError
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.load.newest import domain_of


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Open every call of a function.

    Parameters
    ----------
    model : onnx.ModelProto
        Nodes sorted, one import a domain; imports of it and of its functions are changed.

    Raises
    ------
    ModelError
        A function calls itself, or is of an operator set from which it cannot be converted.
    """
    if not model.functions:
        return model
    _import_all(model)
    versions = {domain_of(o.domain): o.version for o in model.opset_import}
    strange = [f for f in model.functions if not _fits(f, versions)]
    for function in model.functions:
        if function not in strange:
            _take_versions(function, versions)
    try:
        whole = onnx.inliner.inline_local_functions(model, bool(strange))
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(_refusal(strange, versions, str(error))) from error
    names = {(domain_of(f.domain), f.name) for f in model.functions}
    called = [n for n in whole.graph.node if (domain_of(n.domain), n.op_type) in names]
    if called:
        raise ModelError(_refusal(strange, versions, f"node {called[0].name!r} still calls one"))
    return whole


def opened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model without calls of functions; itself where it has none."""
    if not model.functions:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return inlined(copy)


def _import_all(model: onnx.ModelProto) -> None:
    """Import what only functions import, in the newest version that one of them asks for."""
    known, missing = {domain_of(o.domain) for o in model.opset_import}, dict[str, int]()
    for function in model.functions:
        for entry in function.opset_import:
            domain = domain_of(entry.domain)
            if domain not in known:
                missing[domain] = max(entry.version, missing.get(domain, 0))
    model.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in missing.items())


def _take_versions(function: onnx.FunctionProto, versions: Mapping[str, int]) -> None:
    for entry in function.opset_import:
        entry.version = versions[domain_of(entry.domain)]


def _fits(function: onnx.FunctionProto, versions: Mapping[str, int]) -> bool:
    """Whether the nodes of a function are nodes of the model's operator sets as they stand."""
    own = {domain_of(o.domain): o.version for o in function.opset_import}
    other = {domain for domain, version in own.items() if versions[domain] != version}
    touched = (node for node in _nodes(function.node) if domain_of(node.domain) in other)
    return all(_is_of(node, versions) for node in touched)


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.NodeProto]:
    """Nodes, and those inside of them."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from _nodes(graph.node)


def _is_of(node: onnx.NodeProto, versions: Mapping[str, int]) -> bool:
    """Whether a node has the inputs and attributes of its operator in an operator set."""
    domain = domain_of(node.domain)
    try:
        schema = onnx.defs.get_schema(node.op_type, versions[domain], domain)
    except onnx.defs.SchemaError:
        # What onnx does not know has one form only; a newer operator has none.
        return not onnx.defs.has(node.op_type, domain)
    inputs = schema.min_input <= len(node.input) <= schema.max_input
    outputs = schema.min_output <= len(node.output) <= schema.max_output
    return inputs and outputs and all(a.name in schema.attributes for a in node.attribute)


def _refusal(strange: Iterable[onnx.FunctionProto], versions: Mapping[str, int], why: str) -> str:
    found = []
    for function in strange:
        own = {domain_of(o.domain): o.version for o in function.opset_import}
        found.append(f"{function.domain}.{function.name} (operator set {own.get('')})")
    return (
        f"The functions of the model cannot be opened: {' '.join(why.split())}. It imports "
        f"operator set {versions.get('')}; of another one, which it has no form in, are: "
        f"{', '.join(found) or 'none'}. Export them with the operator set of the model."
    )
