"""One call in a sandbox, with a model: what the entry points need of all this."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import onnx

from onnxlin.errors import ModelError
from onnxlin.runtime.sandbox.parent import Child
from onnxlin.runtime.sandbox.value import Sandbox

# Imported by a child before its limits hold: what all entry points need.
MODULES = ("onnxruntime", "onnx.shape_inference", "scipy.sparse", "onnxlin.linearizer")

Boxed = str | os.PathLike[str] | bytes | onnx.ModelProto


def boxed(
    function: str,
    arguments: dict[str, Any],
    model: Boxed | None,
    sandbox: Sandbox,
    blobs: Sequence[bytes] = (),
) -> tuple[Any, list[bytes]]:
    """Call a function of onnxlin's in a child that lives for this call alone.

    Parameters
    ----------
    function, arguments, blobs
        See `Child.call`; the function gets the model back by `asked`.
    model : path, bytes or onnx.ModelProto
        A path is read by the child alone.

    Raises
    ------
    SandboxError, OnnxlinError
    """
    place, sent = _sent(model)
    with Child(sandbox, MODULES) as child:
        return child.call(function, {**arguments, "model": place}, [*sent, *blobs])


def _sent(model: Boxed | None) -> tuple[str | None, list[bytes]]:
    if isinstance(model, onnx.ModelProto):
        try:
            return None, [model.SerializeToString()]
        except ValueError as error:
            raise ModelError(
                f"The model cannot be sent to a sandbox: {error}. Save it, and give its path."
            ) from error
    if isinstance(model, bytes):
        return None, [model]
    if isinstance(model, str | os.PathLike):
        return os.fspath(model), []
    kind = type(model).__name__
    raise ModelError(f"model must be a path, bytes or onnx.ModelProto, not {kind}.")


def asked(arguments: dict[str, Any], blobs: list[bytes]) -> tuple[str | bytes, list[bytes]]:
    """Return the model that a call is about, and the blobs that are none; in the child."""
    place = arguments.pop("model")
    return (place, blobs) if place is not None else (blobs[0], blobs[1:])
