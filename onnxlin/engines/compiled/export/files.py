"""Compiled models as files, in one or with the weights in a second one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import google.protobuf.message
import onnx

from onnxlin.errors import OptionError
from onnxlin.graph.weights import LARGE, MOST_INSIDE, size
from onnxlin.load import Model


def save(made: onnx.ModelProto, path: str | os.PathLike[str], external_data: bool | None) -> None:
    """Write a model.

    Parameters
    ----------
    external_data : bool or None
        Whether large weights go to ``<path>.data``; None does so where one file cannot hold them.

    Raises
    ------
    OptionError
        The file cannot be written, or is too large to be one.
    """
    target, *apart = written(made, path, external_data)
    weight = size(made)
    if external_data is False and weight > MOST_INSIDE:
        raise OptionError(
            f"external_data=False, but the weights take {weight / 1e9:.2f} GB and one ONNX file "
            f"holds {MOST_INSIDE / 1e9:.1f} GB. Leave external_data= out, or give True."
        )
    try:
        if apart:
            _save_apart(made, target, *apart)
        else:
            onnx.save_model(made, target)
    except OSError as error:
        raise OptionError(
            f"Cannot write {error.filename or str(target)!r}: {error.strerror or error}."
        ) from error


def written(
    made: onnx.ModelProto, path: str | os.PathLike[str], external_data: bool | None
) -> list[Path]:
    """List the files that saving writes: the model, and the weights if they lie apart."""
    apart = external_data or size(made) > MOST_INSIDE
    return [Path(path), *([Path(f"{os.fspath(path)}.data")] if apart else [])]


def _save_apart(made: onnx.ModelProto, target: Path, data: Path) -> None:
    # An older file would be appended to.
    data.unlink(missing_ok=True)
    onnx.save_model(
        made, target, save_as_external_data=True, location=data.name, size_threshold=LARGE
    )
    # Writing has taken the weights out of the model.
    onnx.load_external_data_for_model(made, str(target.parent))


def sha256(model: Model) -> str:
    """Hash a model's file or bytes; "" for a model that no file can hold."""
    if isinstance(model, str | os.PathLike):
        with open(model, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    if isinstance(model, bytes):
        return hashlib.sha256(model).hexdigest()
    try:
        return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    except (ValueError, google.protobuf.message.EncodeError):
        return ""
