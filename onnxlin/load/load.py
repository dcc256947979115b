"""Read a model and make it a `Graph`: functions inlined, nodes sorted and in newest form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import onnx

from onnxlin.graph import Array, Graph, Node, TensorType
from onnxlin.graph.subgraphs import implicit
from onnxlin.graph.tensors import tensor_type, to_array, to_dense
from onnxlin.graph.typed import element_types
from onnxlin.graph.weights import is_beside, lightened
from onnxlin.load.asked import hold_asked
from onnxlin.load.functions import inlined
from onnxlin.load.newest import (
    NEWEST_RUNNABLE,
    OLDEST_RUNNABLE,
    attribute_of,
    brought,
    domain_of,
    rebuilt,
)
from onnxlin.load.normalise import Context, Draft
from onnxlin.load.order import name_nodes, sort
from onnxlin.load.read import Model, Path, read_mapped
from onnxlin.load.schema import require_schemas
from onnxlin.load.valid import require_valid
from onnxlin.operators.schemas import default_values
from onnxlin.operators.shaped import Ranks
from onnxlin.runtime.sandbox import reached
from onnxlin.runtime.types import runtime_types


def load(model: Model, given: Iterable[str] = (), base_dir: Path | None = None) -> Graph:
    """Read, inline, sort and normalise a model.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto, or what `export_model` takes
        Left unchanged.
    given : tensor names
        Those of them that are inputs with a value in the file become inputs like the others. A
        model that has no others takes all of its inputs so.
    base_dir : path, optional
        The folder of external data; by default that of the path. Without either no file is read.

    Raises
    ------
    ModelError
        The file is missing, is no ONNX model, contradicts itself, or its nodes form a cycle.
    LimitError
        It asks for more than `onnxlin.limits` lets it.
    UnsupportedNodeError
        A node is in an old form that the newest one cannot express.
    """
    whole, mapped = read_mapped(model, base_dir)
    hold_asked(whole)
    require_valid(whole)
    light, weights = lightened(whole, mapped)
    optional, defaults = _released(light.graph, weights, set(given))
    proto = _prepared(light)
    opsets = {o.domain: o.version for o in proto.opset_import}
    require_schemas(proto.graph.node, opsets)
    reached("typing")
    elem_types = element_types(proto)
    reached("working")
    stored = weights | _stored(proto.graph)
    names = {name for node in proto.graph.node for name in node.output}
    context = Context(dict(stored), Ranks(proto), elem_types, names)
    newest = [
        (draft, node) for node in proto.graph.node for draft in brought(node, opsets, context)
    ]
    if len(newest) > len(proto.graph.node) or opsets.get("", NEWEST_RUNNABLE) < OLDEST_RUNNABLE:
        proto = rebuilt(proto, [draft for draft, _ in newest], context)
        elem_types |= element_types(proto)
    foreign = [o for n in proto.graph.node for o in n.output if o and o not in elem_types]
    if foreign:
        elem_types |= runtime_types(proto, foreign, context.constants)
    return Graph(
        nodes=tuple(_node(draft, source) for draft, source in newest),
        inputs={i.name: tensor_type(i) for i in proto.graph.input if i.name not in stored},
        # A file may name one of them twice.
        outputs=tuple(dict.fromkeys(o.name for o in proto.graph.output)),
        initialisers=context.constants,
        elem_types=elem_types,
        model=proto,
        opsets=opsets,
        optional=optional,
        defaults=defaults,
    )


def _released(
    graph: onnx.GraphProto, weights: dict[str, Array], given: set[str]
) -> tuple[dict[str, TensorType], dict[str, Array]]:
    """Take values of inputs that are given out of a graph; return what else could be, and these.

    In files of version 3 every weight is among the inputs, and later a few may be: initialisers
    that a caller may replace.
    """
    stored = {t.name: t for t in graph.initializer}
    kinds = {i.name: tensor_type(i) for i in graph.input}
    both = {name: kind for name, kind in kinds.items() if name in stored}
    if both and len(both) == len(kinds):
        given = set(both)
    taken = [name for name in both if name in given]
    defaults = {n: weights.pop(n) if n in weights else to_array(stored[n]) for n in taken}
    if taken:
        kept = [onnx.TensorProto.FromString(t.SerializeToString())
                for name, t in stored.items() if name not in defaults]  # fmt: skip
        del graph.initializer[:]
        graph.initializer.extend(kept)
    return {name: kind for name, kind in both.items() if name not in defaults}, defaults


def _stored(graph: onnx.GraphProto) -> dict[str, Array]:
    """Initialisers that lie inside of the model, the sparse ones as dense arrays."""
    inside = {t.name: to_array(t) for t in graph.initializer if not is_beside(t)}
    return inside | {t.values.name: to_dense(t) for t in graph.sparse_initializer}


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a model to one import a domain, functions inlined and nodes sorted."""
    proto = model
    versions: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = domain_of(entry.domain)
        versions[domain] = max(entry.version, versions.get(domain, 0))
    del proto.opset_import[:]
    proto.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in versions.items())
    # Sorting comes first: the inliner reads nodes in order.
    sort(proto.graph)
    proto = inlined(proto)
    name_nodes(proto.graph.node)
    return proto


def _node(draft: Draft, source: onnx.NodeProto) -> Node:
    return Node(
        name=draft.name,
        op_type=draft.op_type,
        domain=draft.domain,
        inputs=_without_trailing_blanks(draft.inputs),
        outputs=_without_trailing_blanks(draft.outputs),
        attributes={**_defaults(draft.op_type, draft.domain), **draft.attributes},
        given=frozenset(draft.attributes),
        source=source,
        implicit=tuple(implicit(source)),
    )


def _without_trailing_blanks(names: list[str]) -> tuple[str, ...]:
    kept = len(names)
    while kept and not names[kept - 1]:
        kept -= 1
    return tuple(names[:kept])


@cache
def _defaults(op_type: str, domain: str) -> Mapping[str, Any]:
    """Attribute defaults of the newest schema: the one place where they come from."""
    given = default_values(op_type, domain)
    return {name: attribute_of(value) for name, value in given.items()}
