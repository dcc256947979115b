"""Large weights kept beside a model instead of inside it.

Protobuf writes no message above 2 GiB, and every copy of a model copies what is inside. So large
initialisers become references to external data, with the arrays in a mapping; onnxruntime reads
them where they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx

from onnxlin.graph.graph import Array
from onnxlin.graph.mapped import Place
from onnxlin.graph.tensors import to_array

LARGE = 2**16
"""Bytes from which on a weight is kept beside its model."""

MOST_INSIDE = 1_900_000_000
"""Bytes that a model may hold, with room below protobuf's 2 GiB for its nodes."""

_PLAIN = frozenset("efdbhilqBHILQ?")


def lightened(
    model: onnx.ModelProto, mapped: Mapping[str, Array] | None = None
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Copy a model without its large weights; return it and the weights.

    Those that lie in files already are ``mapped``.

    Raises
    ------
    ModelError
        A weight does not hold what it states.
    """
    light, weights = onnx.ModelProto(), dict[str, Array]()
    _copy(model, light, {"graph", "doc_string"})
    _copy(model.graph, light.graph, {"initializer", "doc_string"})
    for info in (*light.graph.input, *light.graph.output):
        if not isinstance(info.doc_string, str):
            info.ClearField("doc_string")
    for tensor in model.graph.initializer:
        if _bytes(tensor) < LARGE and not is_beside(tensor):
            light.graph.initializer.add().CopyFrom(tensor)
            continue
        found = mapped.get(tensor.name) if mapped else None
        array = to_array(tensor) if found is None else found
        weights[tensor.name] = array
        light.graph.initializer.append(_reference(tensor.name, array))
    return light, weights


def stored(name: str, array: Array) -> onnx.TensorProto:
    """Write an array as an initialiser, or as a reference if it is large."""
    large = array.nbytes >= LARGE and array.dtype.char in _PLAIN
    return _reference(name, array) if large else onnx.numpy_helper.from_array(array, name)


def is_beside(tensor: onnx.TensorProto) -> bool:
    """Whether an initialiser is a reference."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def beside(model: onnx.ModelProto, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Find the weights that a model refers to and reads, laid out as its file would have them.

    onnxruntime forgets those that nobody reads, and does not take them.
    """
    read = {*_reads(model.graph), *(output.name for output in model.graph.output)}
    names = [t.name for t in model.graph.initializer if is_beside(t) and t.name in read]
    return {name: np.ascontiguousarray(arrays[name]) for name in names}


def _reads(graph: onnx.GraphProto) -> Iterator[str]:
    """Every name that a node reads, in graphs inside nodes as well."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _reads(inner)
                yield from (output.name for output in inner.output)


def size(model: onnx.ModelProto) -> int:
    """Bytes of the numbers in the initialisers of a model; protobuf cannot count above 2 GiB."""
    return sum(_bytes(tensor) for tensor in model.graph.initializer)


def filled(model: onnx.ModelProto, weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Copy a model with its weights inside."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in whole.graph.initializer:
        if is_beside(tensor):
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    return whole


def fed(model: onnx.ModelProto, weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Copy a model that has weights beside it in their place inputs, which a run is fed."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    inside = [t for t in model.graph.initializer if t.name not in weights]
    del whole.graph.initializer[:]
    whole.graph.initializer.extend(inside)
    for name, array in weights.items():
        kind = int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
        whole.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))
    return whole


def _copy(source: Any, target: Any, but: set[str]) -> None:
    """Copy the fields of a message, but for some.

    Doc strings are left behind: nothing reads them, and files have some that are no text.
    """
    for field in source.DESCRIPTOR.fields:
        if field.name in but:
            continue
        value = getattr(source, field.name)
        if isinstance(value, int | float | str | bytes):
            if source.HasField(field.name):
                setattr(target, field.name, value)
        elif hasattr(value, "extend") or source.HasField(field.name):
            getattr(target, field.name).MergeFrom(value)


def is_plain(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's numbers are stored as NumPy has them."""
    return bool(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).char in _PLAIN)


def _bytes(tensor: onnx.TensorProto) -> int:
    """Size of a tensor that can be kept beside a model; 0 for one that cannot."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return math.prod(tensor.dims) * dtype.itemsize if is_plain(tensor) else 0


def referring(model: onnx.ModelProto, places: Mapping[str, Place]) -> onnx.ModelProto:
    """Copy a model whose references to some weights name files, as external data does."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for tensor in found.graph.initializer:
        place = places.get(tensor.name)
        if place is not None and is_beside(tensor):
            told = {"location": place.file.location, "offset": str(place.offset)}
            for entry in tensor.external_data:
                entry.value = told.get(entry.key, entry.value)
    return found


def _reference(name: str, array: Array) -> onnx.TensorProto:
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=array.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor
