"""A failure as two files: the x, and a script of three lines that fails again."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array
from onnxlin.load import Model
from onnxlin.testing.laws.subject import Feeds

SCRIPT = """\
import numpy, onnxlin.testing
x = dict(numpy.load({archive!r}))
onnxlin.testing.assert_linearizes({model!r}, x{options})
"""


def reproducer(
    prefix: str | os.PathLike[str], model: Model, feeds: Feeds, options: Mapping[str, Any]
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

    Returns
    -------
    list of str
        The files written.

    Raises
    ------
    OSError
        They cannot be written.
    """
    start = Path(prefix).absolute()
    start.parent.mkdir(parents=True, exist_ok=True)
    written = [start.with_name(start.name + ending) for ending in (".npz", ".py")]
    named = {name: storable(value) for name, value in feeds.items()}
    _save(written[0], named)
    if isinstance(model, str | os.PathLike):
        path = Path(model).absolute()
    else:
        path = start.with_name(start.name + ".onnx")
        proto = onnx.load_model_from_string(model) if isinstance(model, bytes) else model
        onnx.save(proto, path)
        written.append(path)
    keywords = "".join(f", {name}={value!r}" for name, value in options.items())
    text = SCRIPT.format(archive=str(written[0]), model=str(path), options=keywords)
    written[1].write_text(text, encoding="utf-8")
    return [str(name) for name in written]


def storable(value: Array) -> Array:
    """Return what ``.npz`` can hold and `onnxlin.linearize` takes for it: strings, small floats."""
    if value.dtype.kind == "O":
        return value.astype(np.str_)
    if value.dtype.kind == "V" or value.dtype.name == "bfloat16":
        return value.astype(np.float32)
    return value


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an archive; numpy.savez takes the names as keywords, and one of its own is "file"."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(value), allow_pickle=False)
