"""Weights in files beside a model: read from its folder, and from nowhere else.

A model from a stranger names the files. A name that leads out of the folder, by ``..``, by a link
or by a second name of a file, would make onnxlin read what is none of the model's.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import onnx

from onnxlin import limits
from onnxlin.errors import LimitError, ModelError
from onnxlin.graph import Array
from onnxlin.graph.mapped import MappedFile, array_in, can_be_mapped
from onnxlin.graph.subgraphs import subgraphs
from onnxlin.graph.weights import is_beside, is_plain

Path = str | os.PathLike[str]
T = onnx.TensorProto

_BITS = dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4) | {"INT2": 2, "UINT2": 2}
_OPEN = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def first_external(model: onnx.ModelProto) -> onnx.TensorProto | None:
    """Return a tensor that lies in a file beside the model; None if all are inside."""
    return next((tensor for tensor in tensors(model) if is_beside(tensor)), None)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor: initialisers, sparse ones, those in attributes, subgraphs and functions."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)
        for attribute in function.attribute_proto:
            yield from _of_attribute(attribute)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterator[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _of_attribute(attribute)
        for graph in subgraphs(node):
            yield from _of_graph(graph)


def _of_attribute(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for tensor in (*sparse, *attribute.sparse_tensors):
        yield from (tensor.values, tensor.indices)


def filled(
    model: onnx.ModelProto, folder: Path | None, *, copied: bool, mapped: bool = False
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Read the tensors that lie in files of a folder into a model.

    Parameters
    ----------
    folder : path or None
        None where nobody has said where the files lie: then none is read.
    copied : bool
        Whether to fill a copy and leave the model unchanged.
    mapped : bool
        Whether large initialisers stay where they are.

    Returns
    -------
    onnx.ModelProto
    {name: array}
        Those that stay in their files, mapped; the model refers to them still.

    Raises
    ------
    ModelError
        No folder is given; or a tensor's file is missing, outside of the folder, a link, no
        regular file, or does not hold what the tensor states.
    LimitError
    """
    if folder is None:
        tensor = first_external(model)
        assert tensor is not None
        named = _told(tensor).get("location", "")
        raise ModelError(
            f"The weight {tensor.name!r} lies in a file beside the model ({named!r}), and a model "
            "given as bytes or as a proto does not say where. Give the model's path, say "
            "base_dir= (the folder of that file), or read it with onnx.load(path)."
        )
    if copied:
        own = onnx.ModelProto()
        own.CopyFrom(model)
        model = own
    read = _Folder(os.fspath(folder))
    some = {t.name: read.mapped(t) for t in (model.graph.initializer if mapped else ())}
    apart = {name: array for name, array in some.items() if array is not None}
    for tensor in tensors(model):
        if is_beside(tensor) and tensor.name not in apart:
            tensor.raw_data = read(tensor)
            tensor.data_location = T.DEFAULT
            del tensor.external_data[:]
    return model, apart


@dataclass
class _Folder:
    """The folder of a model's external data, and how much of it has been read."""

    path: str
    total: int = 0
    files: dict[str, MappedFile] = field(default_factory=dict)

    def mapped(self, tensor: onnx.TensorProto) -> Array | None:
        """Map a tensor; None for one that is to be read."""
        size = _size(tensor) if is_beside(tensor) else 0
        if not size or not is_plain(tensor):
            return None
        if not can_be_mapped(size):
            return None
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        with self._at(tensor) as (file, offset, _):
            location = _told(tensor)["location"]
            known = self.files.get(location)
            if known is None or not known.is_of(file.fileno()):
                try:
                    known = MappedFile.of(file.fileno(), self.path, location)
                except (OSError, ValueError):  # a file system that maps none
                    return None
                self.files[location] = known
            return array_in(known, dtype, tuple(tensor.dims), offset)

    def __call__(self, tensor: onnx.TensorProto) -> bytes:
        """Read the bytes of a tensor."""
        with self._at(tensor) as (file, offset, size):
            file.seek(offset)
            try:
                return file.read(size)
            except MemoryError as error:
                what = f"The weight {tensor.name!r}"
                raise LimitError(f"{what} does not fit into the memory there is.") from error

    @contextmanager
    def _at(self, tensor: onnx.TensorProto) -> Iterator[tuple[BinaryIO, int, int]]:
        """Open the file of a tensor, which holds it: where it begins, and its bytes."""
        told = _told(tensor)
        size, offset = _size(tensor), _number(tensor, told, "offset") or 0
        stated = _number(tensor, told, "length")
        if stated is not None and stated != size:
            raise refused(tensor, f"its length is {stated} bytes, but its dims take {size}")
        location = told.get("location", "")
        with self._open(tensor, location) as file:
            there = os.fstat(file.fileno()).st_size
            if offset + size > there:
                raise refused(
                    tensor,
                    f"{location!r} has {there} bytes, and it takes {size} from byte {offset} on: "
                    "the file has been cut short, or belongs to another model",
                )
            self.total += size
            limits.hold("file_bytes", self.total, f"What lies beside takes {self.total:,} bytes")
            yield file, offset, size

    def _open(self, tensor: onnx.TensorProto, location: str) -> BinaryIO:
        """Open a file of the folder by what a tensor names it."""
        self._require_inside(tensor, location)
        path = os.path.join(self.path, location)
        try:
            file = os.fdopen(os.open(path, _OPEN), "rb")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise refused(tensor, f"its file {location!r} cannot be opened: {why}") from error
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            return file
        file.close()
        if stat.S_ISREG(status.st_mode):
            why = f"its file {location!r} has a second name, perhaps outside of the folder: copy it"
        else:
            why = f"{location!r} is no regular file"
        raise refused(tensor, why)

    def _require_inside(self, tensor: onnx.TensorProto, location: str) -> None:
        """Raise unless a name leads to a file of the folder, without links on the way."""
        parts = location.replace("\\", "/").split("/")
        if not location or "\0" in location:
            raise refused(tensor, f"location {location!r} names no file")
        outside = os.path.isabs(location) or location.startswith(("/", "\\")) or ":" in parts[0]
        depth = 0
        for part in parts:
            depth += -1 if part == ".." else 0 if part in ("", ".") else 1
            outside |= depth < 0
        if outside:
            raise refused(tensor, f"its file {location!r} is outside of the model's folder")
        at = self.path
        for part in parts:
            at = os.path.join(at, part)
            if part not in ("", ".", "..") and os.path.islink(at):
                raise refused(
                    tensor, f"its file {location!r} is a link, or lies behind one: copy it"
                )


def _told(tensor: onnx.TensorProto) -> dict[str, str]:
    return {_text(entry.key): _text(entry.value) for entry in tensor.external_data}


def _text(value: str | bytes) -> str:
    """Read what protobuf hands over as bytes where it is no UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def _number(tensor: onnx.TensorProto, told: dict[str, str], key: str) -> int | None:
    text = told.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise refused(tensor, f"its {key} {text[:40]!r} is no number of bytes")
    return int(text)


def _size(tensor: onnx.TensorProto) -> int:
    """Bytes that a tensor takes in a file."""
    if any(n < 0 for n in tensor.dims):
        raise refused(tensor, f"its dims are {list(tensor.dims)}")
    try:
        name = T.DataType.Name(tensor.data_type)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (KeyError, ValueError) as error:
        raise refused(tensor, f"there is no element type {tensor.data_type}") from error
    if tensor.data_type == T.STRING:
        raise refused(tensor, "text is not stored in a file beside the model")
    return -(-math.prod(tensor.dims) * _BITS.get(name, dtype.itemsize * 8) // 8)


def refused(tensor: onnx.TensorProto, why: str) -> ModelError:
    """Build the error for a tensor that cannot be read."""
    return ModelError(f"The weight {tensor.name!r} cannot be read: {why}.")
