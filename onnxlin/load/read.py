"""From a path, bytes or a proto to a `ModelProto`."""

from __future__ import annotations

import os

import google.protobuf.message
import onnx

from onnxlin.errors import ModelError
from onnxlin.runtime.sandbox import reached

Model = str | os.PathLike[str] | bytes | onnx.ModelProto


def read(model: Model) -> onnx.ModelProto:
    """Read a path or bytes into a `ModelProto`; hand a `ModelProto` through."""
    reached("reading")
    if isinstance(model, onnx.ModelProto):
        proto = model
    elif isinstance(model, bytes):
        proto = _parsed(model, "the bytes given")
    elif isinstance(model, str | os.PathLike):
        proto = _read_file(os.fspath(model))
    else:
        kind = type(model).__name__
        raise ModelError(f"model must be a path, bytes or onnx.ModelProto, not {kind}.")
    if not proto.graph.output:
        raise ModelError("The model has no outputs: not an ONNX model, or an empty one.")
    return proto


def _read_file(path: str) -> onnx.ModelProto:
    if not os.path.exists(path):
        raise ModelError(f"No such model file: {path!r}.")
    try:
        return onnx.load(path)
    except (google.protobuf.message.DecodeError, ValueError, OSError, TypeError) as error:
        raise ModelError(f"{path!r} is not a readable ONNX model: {error}.") from error


def _parsed(data: bytes, what: str) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(data)
    except google.protobuf.message.DecodeError as error:
        raise ModelError(f"{what} are not an ONNX model: {error}.") from error
