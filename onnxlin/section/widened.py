"""A section that computes in float32 what the model computes in 16 bits.

Kernels for the CPU of float16 are few, and of bfloat16 there is hardly one; and coefficients that
stand in a graph are made of the tensors of its own run, so these must not be rounded so coarsely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array, Graph, Node
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.graph.tensors import to_array
from onnxlin.operators.types import NAMES_TYPE
from onnxlin.section.section import Section

T = onnx.TensorProto
HALF = frozenset({T.FLOAT16, T.BFLOAT16})
SINGLE = np.dtype(np.float32)
UNROUNDED, ROUNDED = "/unrounded", "/rounded"
"""What is added to the names of tensors that are held."""


def is_half(array: Array) -> bool:
    """Whether numbers are floats of 16 bits."""
    return array.dtype.name in ("float16", "bfloat16")


def wide(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Bring floats of 16 bits to float32, which holds every one of them."""
    return {n: a.astype(SINGLE) if is_half(a) else a for n, a in arrays.items()}


def is_narrow(section: Section) -> bool:
    """Whether floats of 16 bits lie on the way from the inputs to the outputs."""
    kinds = section.graph.elem_types
    return any(kinds.get(name) in HALF for name in section.live)


def widened(section: Section) -> Section:
    """Return a section that does all in float32; the same one where no float has 16 bits."""
    if not is_narrow(section):
        return section
    old = section.graph
    held = _held(section)
    new = {id(node): _node(node, held) for node in old.nodes}
    nodes = [each for node in old.nodes for each in (new[id(node)], *_round_held(node, held))]
    model = onnx.ModelProto()
    model.CopyFrom(old.model)
    _widen(model.graph)
    protos = list[onnx.NodeProto]()
    for proto in model.graph.node:
        after = _round_held(proto, held)
        protos += [_renamed(proto, held), *(cast.source for cast in after)]
    del model.graph.node[:]
    model.graph.node.extend(protos)
    graph = Graph(
        nodes=tuple(nodes),
        inputs={
            n: replace(kind, elem_type=_kind(kind.elem_type)) for n, kind in old.inputs.items()
        },
        outputs=old.outputs,
        initialisers=wide(old.initialisers),
        elem_types={name: _kind(kind) for name, kind in old.elem_types.items()},
        model=model,
        opsets=old.opsets,
        optional=old.optional,
        defaults=wide(old.defaults),
    )
    return replace(section, graph=graph, nodes=tuple(new[id(node)] for node in section.nodes))


def _held(section: Section) -> dict[str, int]:
    """Floats of 16 bits that do not follow x, as angles of positions: they are rounded once more.

    These are coefficients of the map, the same that the model has.
    """
    kinds, live = section.graph.elem_types, set(section.live)
    # A node that x moves may make what nothing reads as well, such as a cache for the next step.
    still = (node for node in section.graph.nodes if live.isdisjoint(node.writes))
    made = (name for node in still for name in node.writes)
    return {name: kinds[name] for name in made if kinds.get(name) in HALF}


def _round_held(node: Node | onnx.NodeProto, held: Mapping[str, int]) -> list[Node]:
    """Bring what a node makes to 16 bits and back."""
    outputs = node.outputs if isinstance(node, Node) else node.output
    found = []
    for name in outputs:
        if name in held:
            pair = (name + UNROUNDED, name + ROUNDED, held[name]), (name + ROUNDED, name, T.FLOAT)
            found += [_cast(*each) for each in pair]
    return found


def _cast(source: str, target: str, kind: int) -> Node:
    name = f"{source}->{target}"
    proto = onnx.helper.make_node("Cast", [source], [target], name, to=kind)
    attributes = {"to": kind, "saturate": 1}
    return Node(name, "Cast", "", (source,), (target,), attributes, frozenset({"to"}), proto)


def _renamed(proto: onnx.NodeProto, held: Mapping[str, int]) -> onnx.NodeProto:
    proto.output[:] = [name + UNROUNDED if name in held else name for name in proto.output]
    return proto


def note_of(section: Section, widths: Iterable[str] = ("float16", "bfloat16")) -> str:
    """Say what a graph computes in float32."""
    kinds = {section.graph.elem_types.get(name) for name in section.live}
    found = [name for name in widths if T.DataType.Value(name.upper()) in kinds]
    return (
        f"computed in float32: the compiled graph takes the {' and '.join(found)} numbers of the "
        "model as they are, and rounds nothing that follows x to them"
    )


def _kind(kind: int) -> int:
    return T.FLOAT if kind in HALF else kind


def _node(node: Node, held: Mapping[str, int]) -> Node:
    source = onnx.NodeProto()
    source.CopyFrom(node.source)
    _widen_node(source)
    attributes = {name: _value(name, value) for name, value in node.attributes.items()}
    outputs = tuple(name + UNROUNDED if name in held else name for name in node.outputs)
    source = _renamed(source, held)
    return replace(node, source=source, attributes=attributes, outputs=outputs)


def _value(name: str, value: Any) -> Any:
    """The value of an attribute: a type, a tensor, or a graph."""
    if isinstance(value, T):
        return _tensor(value)
    if isinstance(value, onnx.GraphProto):
        made = onnx.GraphProto()
        made.CopyFrom(value)
        _widen(made)
        return made
    return T.FLOAT if name in NAMES_TYPE and value in HALF else value


def _tensor(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """A tensor of float32; one that lies in a file of its own is read elsewhere."""
    if tensor.data_type not in HALF:
        return tensor
    if tensor.data_location == T.EXTERNAL:
        made = T()
        made.CopyFrom(tensor)
        made.data_type = T.FLOAT
        return made
    return onnx.numpy_helper.from_array(to_array(tensor).astype(SINGLE), tensor.name)


def _widen(graph: onnx.GraphProto) -> None:
    for info in (*graph.input, *graph.output, *graph.value_info):
        _widen_type(info.type)
    for tensor in graph.initializer:
        if tensor.data_type in HALF:
            tensor.CopyFrom(_tensor(tensor))
    for node in graph.node:
        _widen_node(node)


def _widen_node(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name in NAMES_TYPE and attribute.i in HALF:
            attribute.i = T.FLOAT
        if attribute.HasField("t"):
            attribute.t.CopyFrom(_tensor(attribute.t))
    for graph in subgraphs(node):
        _widen(graph)


def _widen_type(kind: onnx.TypeProto) -> None:
    if kind.HasField("sequence_type"):
        _widen_type(kind.sequence_type.elem_type)
    elif kind.HasField("optional_type"):
        _widen_type(kind.optional_type.elem_type)
    elif kind.tensor_type.elem_type in HALF:
        kind.tensor_type.elem_type = T.FLOAT
