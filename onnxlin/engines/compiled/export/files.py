"""Compiled models as files, in one or with the weights in a second one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import google.protobuf.message
import onnx
from onnx.external_data_helper import set_external_data
from onnx.serialization import registry

from onnxlin.errors import OptionError
from onnxlin.files import copy, remove, which, write, writing
from onnxlin.graph.weights import LARGE, MOST_INSIDE, size
from onnxlin.load import Plain


def save(made: onnx.ModelProto, path: str | os.PathLike[str], external_data: bool | None) -> None:
    """Write a model.

    Parameters
    ----------
    external_data : bool or None
        Whether large weights go to ``<path>.data``; None does so where one file cannot hold them.

    Raises
    ------
    FileError
        The file cannot be written: what was there before is there still, and fits together.
    OptionError
        It is too large to be one file.
    """
    target, *apart = written(made, path, external_data)
    weight = size(made)
    if external_data is False and weight > MOST_INSIDE:
        raise OptionError(
            f"external_data=False, but the weights take {weight / 1e9:.2f} GB and one ONNX file "
            f"holds {MOST_INSIDE / 1e9:.1f} GB. Leave external_data= out, or give True."
        )
    if apart:
        _save_apart(made, target, *apart)
    else:
        write(target, _serialised(made, target))


def written(
    made: onnx.ModelProto, path: str | os.PathLike[str], external_data: bool | None
) -> list[Path]:
    """List the files that saving writes: the model, and the weights if they lie apart."""
    apart = external_data or size(made) > MOST_INSIDE
    return [Path(path), *([Path(f"{os.fspath(path)}.data")] if apart else [])]


def _save_apart(made: onnx.ModelProto, target: Path, data: Path) -> None:
    """Write weights and model so that at every moment there is a pair that fits together.

    Two files cannot be renamed at once. So new weights come under a name that no older model
    refers to; then the model that refers to them takes the older one's place; then the weights are
    written under their lasting name, and the model again, to refer to that. (A second name for the
    same file would do, but onnx refuses weights with two names.)
    """
    large = [t for t in made.graph.initializer if t.HasField("raw_data") and t.ByteSize() >= LARGE]
    if not large:
        write(target, _serialised(made, target))
        remove(data)
        return
    at = data.with_name(f"{target.name}.{os.urandom(6).hex()}.data")
    if not (target.exists() and data.exists()):
        at = data
    before = which(target)
    try:
        _write_weights(large, at)
        write(target, _serialised(made, target))
    except BaseException:
        if which(target) == before:  # Ctrl-C may come when all is written
            remove(at)
        raise
    if at != data:
        copy(at, data)
        _refer(large, data.name)
        write(target, _serialised(made, target))
        remove(at)
    _remove_left(target, at)
    # Writing has taken the weights out of the model.
    onnx.load_external_data_for_model(made, str(target.parent))


def _write_weights(tensors: Sequence[onnx.TensorProto], path: Path) -> None:
    """Move the numbers of tensors into a file."""
    start = 0
    with writing(path) as stream:
        for tensor in tensors:
            raw = tensor.raw_data
            stream.write(raw)
            set_external_data(tensor, path.name, start, len(raw))
            start += len(raw)
            tensor.ClearField("raw_data")


def _refer(tensors: Sequence[onnx.TensorProto], name: str) -> None:
    for tensor in tensors:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = name


def _remove_left(target: Path, used: Path) -> None:
    """Remove weights that a writer which was killed has left; no model refers to them."""
    own = re.compile(re.escape(target.name) + r"\.[0-9a-f]{12}\.data")
    for path in target.parent.iterdir():
        if path != used and own.fullmatch(path.name):
            remove(path)


def _serialised(made: onnx.ModelProto, target: Path) -> bytes:
    """Write a model in the form that the name of its file asks for, as onnx does."""
    form = registry.get_format_from_file_extension(target.suffix) or "protobuf"
    found: bytes = registry.get(form).serialize_proto(made)
    return found


def sha256(model: Plain) -> str:
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
