"""Ranks and shapes by ``onnx.shape_inference``, which is given only what it can take.

Its functions read the types of a node's inputs unasked: a type that is missing is a null pointer,
and a few take attributes out of range as indices. So every tensor whose type is known gets it
beforehand, and a node that reads one without, or is known to be dangerous, is given under a domain
that inference knows nothing of. `tests/operators/test_shaped.py` runs every schema through this in
child processes.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from math import prod

import onnx
import onnx.shape_inference
from google.protobuf.message import DecodeError

from onnxlin.graph.graph import Array
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.graph.tensors import array_info, to_array
from onnxlin.graph.typed import Types, element_proto, typed
from onnxlin.graph.weights import is_beside
from onnxlin.operators.schemas import needed_inputs

HIDDEN = "onnxlin.hidden"
"""A domain of which inference knows nothing."""

# onnx 1.23 dies on these with a type of input missing, or with dims that are 0 or less.
_DANGEROUS = frozenset({"EyeLike", "GatherND", "RegexFullMatch"})
_INT32 = 2**31

# Entries of what is huge: a vector, which may be of shapes, and any other tensor.
_VECTOR, _TENSOR = 2**24, 2**28

LONGEST = 2**16
"""Length up to which axes are known, where it is not known which of them are shapes."""


class Ranks(Mapping[str, int]):
    """Number of axes of the tensors of a model, found when first asked for.

    Only old forms of operators need it: most models never ask.

    Parameters
    ----------
    model : onnx.ModelProto
        Nodes sorted.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model

    def __getitem__(self, name: str) -> int:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def _found(self) -> dict[str, int]:
        found = {name: len(shape) for name, shape in known_shapes(self._model).items()}
        stored = ((t.name, len(t.dims)) for t in self._model.graph.initializer)
        return found | dict(stored)


def known_shapes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Shapes of the tensors whose rank is known; None for an axis that is open, or very long."""
    graph = _inferred(model, longest=LONGEST) or model.graph
    infos = (*graph.value_info, *graph.output, *graph.input)
    tensors = ((info.name, info.type.tensor_type) for info in infos)
    return {
        name: tuple(dim.dim_value or None for dim in tensor.shape.dim)
        for name, tensor in tensors
        if tensor.HasField("shape")
    }


def settled_shapes(
    proto: onnx.ModelProto, feeds: Mapping[str, Array]
) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors of which the whole follows from those of what is fed, whatever its values.

    Of an If that is so where both branches make the same shape. What the file itself declares of
    tensors is left aside: it states what its author expects.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    graph = bare.graph
    given = [array_info(i.name, feeds[i.name]) if i.name in feeds else i for i in graph.input]
    made = [onnx.ValueInfoProto(name=output.name) for output in graph.output]
    for held, infos in ((graph.input, given), (graph.output, made), (graph.value_info, [])):
        kept = [onnx.ValueInfoProto.FromString(info.SerializeToString()) for info in infos]
        del held[:]
        held.extend(kept)
    found = _inferred(bare, data_prop=True)
    if found is None:
        return {}
    ends = (*found.value_info, *found.output, *found.input)
    tensors = ((info.name, info.type.tensor_type) for info in ends)
    settled = {
        name: tuple(d.dim_value for d in tensor.shape.dim)
        for name, tensor in tensors
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
    }
    return settled | {i.name: feeds[i.name].shape for i in graph.input if i.name in feeds}


def _inferred(
    model: onnx.ModelProto, *, data_prop: bool = False, longest: int | None = None
) -> onnx.GraphProto | None:
    """Run inference on what of a model it can take; None where it finds nothing at all."""
    safe = guarded(model, longest)
    try:
        return onnx.shape_inference.infer_shapes(safe, data_prop=data_prop).graph
    except (onnx.shape_inference.InferenceError, ValueError, DecodeError, RuntimeError):
        return None


def guarded(model: onnx.ModelProto, longest: int | None = None) -> onnx.ModelProto:
    """Copy a model, all types filled in, what inference cannot take put out of its sight.

    Axes longer than ``longest`` are left open, and long vectors in any case: of a shape that is a
    vector of a billion numbers, inference would make a tensor of a billion axes.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.functions[:]
    opsets = {o.domain: o.version for o in copy.opset_import}
    _guard(copy.graph, {}, opsets, longest)
    copy.opset_import.append(onnx.helper.make_opsetid(HIDDEN, 1))
    return copy


def _guard(
    graph: onnx.GraphProto, around: Types, opsets: Mapping[str, int], longest: int | None
) -> None:
    types = typed(graph, around, opsets)
    stated = {info.name for info in (*graph.input, *graph.value_info, *graph.output)}
    for info in (*graph.input, *graph.value_info, *graph.output):
        _fill(info, types)
        _open_axes(info, longest)
    huge = _huge(graph.initializer, [tensor.name for tensor in graph.initializer])
    for node in graph.node:
        for inner in subgraphs(node):
            _guard(inner, ChainMap({}, types), opsets, longest)
        if not huge.isdisjoint(node.input) and node.op_type != "Slice":
            node.domain = HIDDEN
        huge |= _huge([a.t for a in node.attribute], node.output)
        if not _takes(node, types, opsets):
            node.domain = HIDDEN
        new = (name for name in node.output if name and name not in stated)
        for name in new:
            info = onnx.ValueInfoProto(name=name)
            if _fill(info, types):
                graph.value_info.append(info)


def _huge(tensors: Iterable[onnx.TensorProto], names: Iterable[str]) -> set[str]:
    """Vectors that make a huge tensor of a node that takes them as its shape.

    A Slice has such bounds; whatever else reads them is not shown to inference, which would write
    down a number for every entry of a vector of that length.
    """
    few = (
        (name, to_array(tensor))
        for name, tensor in zip(names, tensors, strict=False)
        if tensor.data_type == onnx.TensorProto.INT64
        and len(tensor.dims) == 1
        and tensor.dims[0] <= 64
        and not is_beside(tensor)
    )
    return {
        name
        for name, array in few
        if prod(max(abs(int(n)), 1) for n in array) > (_VECTOR if len(array) == 1 else _TENSOR)
    }


def _fill(info: onnx.ValueInfoProto, types: Types) -> bool:
    """Write the type of a tensor where the file leaves it out."""
    kind = element_proto(types.get(info.name, ""))
    if info.type.WhichOneof("value") is None and kind is not None:
        info.type.CopyFrom(kind)
    return kind is not None


def _open_axes(info: onnx.ValueInfoProto, longest: int | None) -> None:
    """Leave axes open that have no length, as some exporters write it, or too large a one."""
    dims = info.type.tensor_type.shape.dim if info.type.HasField("tensor_type") else ()
    allowed = LONGEST if len(dims) == 1 else longest
    for dim in dims:
        if dim.dim_value < 0 or (allowed is not None and dim.dim_value > allowed):
            dim.Clear()


def _takes(node: onnx.NodeProto, types: Types, opsets: Mapping[str, int]) -> bool:
    """Whether inference may see a node."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    needed = needed_inputs(node.op_type, opsets.get(domain, 1), domain)
    if needed is None or domain or node.op_type in _DANGEROUS:
        return False
    if not all(i < len(node.input) and node.input[i] for i in needed):
        return False
    if any(element_proto(types.get(name, "")) is None for name in node.input if name):
        return False
    return all(-_INT32 <= a.i < _INT32 for a in node.attribute)
