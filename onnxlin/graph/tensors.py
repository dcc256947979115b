"""Types and values of tensors as the file states them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx

from onnxlin import limits
from onnxlin.errors import LimitError, ModelError
from onnxlin.graph.graph import Array, TensorType


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


def to_array(tensor: onnx.TensorProto, what: str = "") -> Array:
    """Read a stored tensor; the array is read-only.

    Raises
    ------
    ModelError
        It does not hold what its dims and its element type state. ``what`` names it.
    """
    what = what or f"The weight {tensor.name!r}"
    with _readable(what):
        array: Array = onnx.numpy_helper.to_array(tensor)
    array.flags.writeable = False
    return array


def to_dense(tensor: onnx.SparseTensorProto, what: str = "") -> Array:
    """Read a sparse stored tensor as a dense array.

    Raises
    ------
    ModelError, LimitError
        Its indices lie outside of its dims, or these are more than `onnxlin.limits` lets it.
    """
    what = what or f"The sparse weight {tensor.values.name!r}"
    values, indices = to_array(tensor.values, what), to_array(tensor.indices, what)
    shape = tuple(tensor.dims)
    limits.hold("entries", math.prod(shape), f"{what} stands for {list(shape)} entries")
    with _readable(what):
        if values.ndim != 1 or indices.dtype != np.int64 or min(shape, default=0) < 0:
            raise ValueError("values are a vector, indices int64, and dims not below 0")
        dense = np.zeros(shape, dtype=values.dtype)
        flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
        if flat.shape != values.shape or (
            flat.size and not 0 <= flat.min() <= flat.max() < dense.size
        ):
            raise ValueError(f"{values.size} values, and indices outside of {list(shape)}")
    dense.reshape(-1)[flat] = values
    return dense


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Let what NumPy and onnx raise on a tensor be an error of the model."""
    try:
        yield
    except MemoryError as error:
        raise LimitError(f"{what} does not fit into the memory there is: {error}.") from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise ModelError(f"{what} does not hold what it states: {why}.") from error
