"""From a path, bytes or a proto to a `ModelProto`, and its weights."""

from __future__ import annotations

import os
import re

import onnx
import onnx.parser
from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError

from onnxlin import limits
from onnxlin.errors import LimitError, ModelError
from onnxlin.graph import Array
from onnxlin.graph.regular import require_regular
from onnxlin.load.exported import Held, Plain, export_model
from onnxlin.load.external import filled, first_external
from onnxlin.runtime.sandbox import reached

Path = str | os.PathLike[str]
Model = Plain | Held

BINARY = "protobuf"
ONNX_TEXT = "onnxtxt"

# What the readers of the four formats raise on what they cannot read.
_UNREADABLE = (DecodeError, json_format.Error, text_format.Error, onnx.parser.ParseError,
               RecursionError, ValueError, TypeError)  # fmt: skip
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|#[^\n]*|=>|[(\[{<]|[)\]}>]')


def read(model: Model, base_dir: Path | None = None) -> onnx.ModelProto:
    """Read a model, with what lies beside it in other files; see `read_mapped`."""
    return _read(model, base_dir, mapped=False)[0]


def read_mapped(
    model: Model, base_dir: Path | None = None
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Read a model, and map the large initialisers that lie beside it in other files.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto, or what `export_model` takes
        A file's name tells its format, as `onnx.load` reads it: ``.json``, ``.textproto``,
        ``.onnxtxt`` and the like are text, anything else is protobuf. A proto is left unchanged.
    base_dir : path, optional
        The folder of external data; by default that of the path. Without either no file is read.

    Returns
    -------
    onnx.ModelProto
    {name: array}
        Initialisers to which the model refers.

    Raises
    ------
    ModelError, LimitError
    """
    return _read(model, base_dir, mapped=True)


def _read(
    model: Model, base_dir: Path | None, *, mapped: bool
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    reached("reading")
    if isinstance(model, onnx.ModelProto):
        proto = model
    elif isinstance(model, bytes | bytearray | memoryview):
        proto = _parsed(bytes(model), BINARY, "The bytes given")
    elif isinstance(model, str | os.PathLike):
        proto, base_dir = _read_file(os.fspath(model), base_dir)
    else:
        proto = export_model(model)
    apart: dict[str, Array] = {}
    if first_external(proto):
        proto, apart = filled(proto, base_dir, copied=proto is model, mapped=mapped)
    if not proto.graph.output:
        raise ModelError("The model has no outputs: not an ONNX model, or an empty one.")
    return proto, apart


def _read_file(path: str, base_dir: Path | None) -> tuple[onnx.ModelProto, Path]:
    require_regular(path, "model", ModelError)
    try:
        size = os.stat(path).st_size
        limits.hold("file_bytes", size, f"{path!r} takes {size:,} bytes")
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise ModelError(f"No such model file: {path!r}.") from error
    except MemoryError as error:
        raise LimitError(f"{path!r} does not fit into the memory there is.") from error
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        raise ModelError(f"{path!r} cannot be read: {error}.") from error
    ending = os.path.splitext(path)[1]
    kind = onnx.serialization.registry.get_format_from_file_extension(ending) or BINARY
    folder = os.path.dirname(os.path.abspath(path)) if base_dir is None else base_dir
    return _parsed(data, kind, repr(path)), folder


def _parsed(data: bytes, kind: str, what: str) -> onnx.ModelProto:
    try:
        if kind == ONNX_TEXT:
            text = data.decode("utf-8")
            _require_flat(text, what)
            return onnx.parser.parse_model(text)
        return onnx.load_model_from_string(data, format=kind)
    except MemoryError as error:
        raise LimitError(f"{what}: the model does not fit into the memory there is.") from error
    except _UNREADABLE as error:
        why = " ".join(str(error).split())[:400] or type(error).__name__
        verb = "is not a readable" if what.startswith("'") else "are not a readable"
        as_text = "" if kind == BINARY else f" in the format {kind!r}, which its name tells"
        raise ModelError(f"{what} {verb} ONNX model{as_text}: {why.rstrip('.')}.") from error


def _require_flat(text: str, what: str) -> None:
    """Hold the brackets of a text to a limit: onnx's parser dies of a full stack."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        token = match.group()
        if token in "([{<":
            depth += 1
            deepest = max(depth, deepest)
        elif token in ")]}>":
            depth = max(depth - 1, 0)
    # A node in a subgraph has a few brackets around it: of attributes, of the graph, of its types.
    limits.hold("nesting", deepest // 4 - 4, f"{what} nests brackets {deepest} deep")
