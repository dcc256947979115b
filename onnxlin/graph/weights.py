"""Large weights kept beside a model instead of inside it.

Protobuf writes no message above 2 GiB, and every copy of a model copies what is inside. So large
initialisers become references to external data, with the arrays in a mapping; onnxruntime reads
them where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx

from onnxlin.errors import ModelError
from onnxlin.graph.graph import Array

LARGE = 2**16
"""Bytes from which on a weight is kept beside its model."""

MOST_INSIDE = 1_900_000_000
"""Bytes that a model may hold, with room below protobuf's 2 GiB for its nodes."""

_PLAIN = frozenset("efdbhilqBHILQ?")


def lightened(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Copy a model without its large weights; return it and the weights.

    Raises
    ------
    ModelError
        A weight lies in a file that has not been read.
    """
    light, weights = onnx.ModelProto(), dict[str, Array]()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy(value, light, field.name)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy(value, light.graph, field.name)
    for tensor in model.graph.initializer:
        if _bytes(tensor) < LARGE and not is_beside(tensor):
            light.graph.initializer.add().CopyFrom(tensor)
            continue
        array = _read(tensor)
        array.flags.writeable = False
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


def _read(tensor: onnx.TensorProto) -> Array:
    try:
        return onnx.numpy_helper.to_array(tensor)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"The weight {tensor.name!r} cannot be read: {error}. Where it lies in a file beside "
            "the model, give the model's path, or read it with onnx.load(path)."
        ) from error


def _copy(value: object, target: object, name: str) -> None:
    """Set a field of a message: a number, a text, a message or many."""
    if isinstance(value, int | float | str | bytes):
        setattr(target, name, value)
    else:
        getattr(target, name).MergeFrom(value)


def _bytes(tensor: onnx.TensorProto) -> int:
    """Size of a tensor that can be kept beside a model; 0 for one that cannot."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(np.prod(tensor.dims) * dtype.itemsize) if dtype.char in _PLAIN else 0


def _reference(name: str, array: Array) -> onnx.TensorProto:
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=array.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor
