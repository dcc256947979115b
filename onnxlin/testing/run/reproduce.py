"""A failure as two files: the x, and a script of three lines that fails again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin import archives, files
from onnxlin.graph import Array
from onnxlin.load import Plain
from onnxlin.testing.laws.subject import Feeds

SCRIPT = """\
import numpy, onnxlin.testing
x = {x}
onnxlin.testing.assert_linearizes({model!a}, x{options})
"""


def reproducer(
    prefix: str | os.PathLike[str],
    model: Plain,
    feeds: Feeds,
    options: Mapping[str, Any],
    what_to_do: str = files.NAME_TOO,
) -> list[str]:
    """Write ``PREFIX.npz`` and ``PREFIX.py``, which exits with 1 as long as the failure is there.

    Parameters
    ----------
    prefix : path
        Its folder is made.
    model : path, bytes or onnx.ModelProto
        A path is named in the script, anything else becomes ``PREFIX.onnx``.
    feeds : {input name: array}
    options : {name: value}
        Keyword arguments of `onnxlin.testing.assert_linearizes`.
    what_to_do : str
        The end of the error's text.

    Returns
    -------
    list of str
        The files written.

    Raises
    ------
    FileError
        They cannot be written.
    """
    start = Path(prefix).absolute()
    files.folder_of(start, what_to_do)
    written = [start.with_name(start.name + ending) for ending in (".npz", ".py")]
    named, x = _named(feeds, str(written[0]))
    archives.write(written[0], named, what_to_do)
    if isinstance(model, str | os.PathLike):
        path = Path(model).absolute()
    else:
        path = start.with_name(start.name + ".onnx")
        given = model if isinstance(model, bytes) else model.SerializeToString()
        files.write(path, given, what_to_do)
        written.append(path)
    keywords = "".join(f", {name}={value!a}" for name, value in options.items())
    text = SCRIPT.format(x=x, model=str(path), options=keywords)
    files.write(written[1], text.encode(), what_to_do)
    return [str(name) for name in written]


def _named(feeds: Feeds, archive: str) -> tuple[dict[str, Array], str]:
    """Name the arrays in the archive, and say how the script makes the feeds of them."""
    values = [storable(value) for value in feeds.values()]
    if not any("\0" in name or name.endswith(".npy") for name in feeds):
        return dict(zip(feeds, values, strict=True)), f"dict(numpy.load({archive!a}))"
    # Names that zip cuts short, or that NumPy takes for others.
    names = [f"x{i}" for i in range(len(values))]
    x = f"dict(zip({list(feeds)!a}, numpy.load({archive!a}).values()))"
    return dict(zip(names, values, strict=True)), x


def storable(value: Array) -> Array:
    """Return what ``.npz`` can hold and `onnxlin.linearize` takes for it: strings, small floats."""
    if value.dtype.kind == "O":
        return value.astype(np.str_)
    if value.dtype.kind == "V" or value.dtype.name == "bfloat16":
        return value.astype(np.float32)
    return value
