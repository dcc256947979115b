"""The ``.npz`` form of a map: arrays and one JSON text, no pickle (docs/map_file.md)."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin.affine_map.protocol import Readable
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import ModelError
from onnxlin.graph.regular import require_regular
from onnxlin.primitives import Array

VERSION = 1


def write(path: str | os.PathLike[str], m: Readable, bound: Array | None) -> None:
    """Write a map; ``bound`` is its residual's bound times its scale, if known."""
    inputs, outputs = m.shapes
    about = {
        "format": "onnxlin.AffineMap",
        "version": VERSION,
        "inputs": {name: list(shape) for name, shape in inputs.items()},
        "outputs": {name: list(shape) for name, shape in outputs.items()},
        "mode": m.mode,
        "rounding": m.rounding,
        "notes": list(m.notes),
        "engine": m.engine,
        "plan": m.plan,
        "bias_nodes": list(m.bias_by_node),
    }
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    arrays |= {"W": m.W, "b": m.b, "x": m.x, "y": m.y, "residual": m.residual}
    shares = list(m.bias_by_node.values())
    arrays["bias_by_node"] = np.stack(shares) if shares else np.zeros((0, len(m.rows)))
    arrays["output"] = _packed(m.outputs)
    if m.own_outputs is not m.outputs:
        arrays["own_output"] = _packed(m.own_outputs)
    rows = m.rows
    arrays |= {"row_index": rows.index} if rows.matrix is None else {"row_matrix": rows.matrix}
    if bound is not None:
        arrays["bound"] = bound
    np.savez(path, **arrays)


def _packed(tensors: Mapping[str, Array]) -> Array:
    # Types that NumPy itself does not have would be read back as raw bytes.
    wide = (v if v.dtype.isbuiltin == 1 else v.astype(np.float32) for v in tensors.values())
    return np.concatenate([np.ravel(value) for value in wide])


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a map: the arguments of `AffineMap`, with ``W`` and ``bias`` apart."""
    require_regular(path, "map", ModelError)
    try:
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
        about = json.loads(str(found["about"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{os.fspath(path)!r} is not a saved AffineMap: {error}.") from error
    if about.get("version") != VERSION:
        raise ModelError(
            f"{os.fspath(path)!r} has version {about.get('version')} of the map's file format; "
            f"this onnxlin reads version {VERSION}. Save it again."
        )
    size = len(found["output"])
    own = None
    if "own_output" in found:
        run = _unpack(found["own_output"], about["outputs"])
        own = lambda: run
    return {
        "inputs": _unpack(found["x"], about["inputs"]),
        "outputs": _unpack(found["output"], about["outputs"]),
        "rows": Seeds(size, found.get("row_index"), found.get("row_matrix")),
        "mode": about["mode"],
        # Files written before there was a choice do not name it.
        "rounding": about.get("rounding", "staircase"),
        "notes": about.get("notes", ()),
        "engine": about["engine"],
        "plan": about["plan"],
        "dtype": found["W"].dtype,
        "own": own,
        "bound": found.get("bound"),
        "W": found["W"],
        "bias": dict(zip(about["bias_nodes"], found["bias_by_node"], strict=True)),
    }


def _unpack(flat: Array, shapes: dict[str, list[int]]) -> dict[str, Array]:
    arrays, start = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape, dtype=np.int64))
        arrays[name] = flat[start : start + size].reshape(shape)
        start += size
    return arrays
