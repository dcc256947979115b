"""Types and values of tensors as the file states them, or as shape inference finds them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.shape_inference

from onnxlin.graph.graph import Array, TensorType


def infer_types(proto: onnx.ModelProto) -> tuple[dict[str, int], dict[str, int]]:
    """Element types and ranks, as far as shape inference finds them."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except (onnx.shape_inference.InferenceError, ValueError):
        graph = proto.graph  # an operator that inference does not know; declared types remain
    elem_types, ranks = {}, {}
    for info in (*graph.value_info, *graph.output, *graph.input):
        if info.type.HasField("tensor_type"):
            tensor = info.type.tensor_type
            if tensor.elem_type:
                elem_types[info.name] = tensor.elem_type
            if tensor.HasField("shape"):
                ranks[info.name] = len(tensor.shape.dim)
        elif info.type.WhichOneof("value"):
            elem_types[info.name] = onnx.TensorProto.UNDEFINED  # a sequence, map or optional
    for initialiser in proto.graph.initializer:
        elem_types[initialiser.name] = initialiser.data_type
        ranks[initialiser.name] = len(initialiser.dims)
    return elem_types, ranks


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
    try:
        found = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError):
        return {}
    ends = (*found.value_info, *found.output, *found.input)
    tensors = ((info.name, info.type.tensor_type) for info in ends)
    return {
        name: tuple(d.dim_value for d in tensor.shape.dim)
        for name, tensor in tensors
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
    }


def tensor_type(info: onnx.ValueInfoProto) -> TensorType:
    """Declared type of a graph input."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorType(tensor.elem_type, None)
    return TensorType(tensor.elem_type, tuple(_dim(d) for d in tensor.shape.dim))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    # Some exporters write -1 or 0 for an axis that may have any length.
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value > 0 else None
    return dim.dim_param or None


def array_info(name: str, value: Array) -> onnx.ValueInfoProto:
    """Declare a tensor with the shape and the type that an array has."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)


def to_array(tensor: onnx.TensorProto) -> Array:
    """Read a stored tensor; the array is read-only."""
    array: Array = onnx.numpy_helper.to_array(tensor)
    array.flags.writeable = False
    return array


def to_dense(tensor: onnx.SparseTensorProto) -> Array:
    """Read a sparse stored tensor as a dense array."""
    values, indices = to_array(tensor.values), to_array(tensor.indices)
    dense = np.zeros(tuple(tensor.dims), dtype=values.dtype)
    at = tuple(indices.T) if indices.ndim == 2 else np.unravel_index(indices, dense.shape)
    dense[at] = values
    return dense
