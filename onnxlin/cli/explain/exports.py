"""The map in other forms: an ONNX model, a drawing of its program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxlin import files
from onnxlin.affine_map import AffineMap
from onnxlin.errors import OptionError
from onnxlin.files import folder_of
from onnxlin.linearizer import Linearizer
from onnxlin.readings import annotated, to_dot


def write(m: AffineMap, lin: Linearizer, options: Any) -> list[str]:
    """Write what ``--to-onnx``, ``--annotate`` and ``--dot`` ask for; return the paths."""
    written = []
    sources = (options.model, options.input)
    if options.to_onnx is not None:
        _write("--to-onnx", options.to_onnx, m.to_onnx().SerializeToString(), sources)
        written.append(options.to_onnx)
    if options.annotate is not None:
        _write("--annotate", options.annotate, annotated(m, lin).SerializeToString(), sources)
        written.append(options.annotate)
    if options.dot is not None:
        _write("--dot", options.dot, to_dot(m).encode(), sources)
        written.append(options.dot)
    return written


def _write(option: str, out: str, data: bytes, sources: tuple[str, ...]) -> None:
    path = Path(out)
    if any(path.exists() and path.samefile(source) for source in sources):
        raise OptionError(f"{option} {str(path)!r} is what is read. Give another name.")
    another = f"Give {option} another name."
    folder_of(path, another)
    files.write(path, data, another)
