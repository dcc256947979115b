"""The ``.npz`` form of a map: arrays and one JSON text, no pickle (docs/map_file.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin import archives
from onnxlin.affine_map import stored
from onnxlin.affine_map.protocol import Readable
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import FileError, ModelError
from onnxlin.files import File, described, is_written_directly
from onnxlin.graph.regular import require_regular
from onnxlin.primitives import Array

ENDING = ".npz"


def write(path: File, m: Readable, bound: Array | None) -> None:
    """Write a map; ``bound`` is its residual's bound times its scale, if known.

    Raises
    ------
    FileError
    """
    inputs, outputs = m.shapes
    about = {
        "format": stored.FORMAT,
        "version": stored.VERSION,
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
    # First: damage to an archive's directory may hide what comes after.
    summed = {stored.CHECKSUM: np.array(stored.checksum(arrays))}
    archives.write(_written_at(path), summed | arrays)


def _packed(tensors: Mapping[str, Array]) -> Array:
    # Types that NumPy itself does not have would be read back as raw bytes.
    wide = (v if v.dtype.isbuiltin == 1 else v.astype(np.float32) for v in tensors.values())
    return np.concatenate([np.ravel(value) for value in wide])


def read(path: File) -> dict[str, Any]:
    """Read a map: the arguments of `AffineMap`, with ``W`` and ``bias`` apart.

    Raises
    ------
    ModelError
        The file is not there, is no map, or its parts do not fit each other (`stored`).
    """
    found_at = _stored_at(path)
    if isinstance(found_at, str | os.PathLike):
        require_regular(found_at, "map", ModelError)
    try:
        found = archives.read(found_at)
        about = stored.require_map(found)
    except FileError as error:
        raise ModelError(
            f"{described(found_at)} is not a saved AffineMap: {error}. Save the map again."
        ) from error
    own = None
    if "own_output" in found:
        run = _unpack(found["own_output"], about.outputs)
        own = lambda: run
    return {
        "inputs": _unpack(found["x"], about.inputs),
        "outputs": _unpack(found["output"], about.outputs),
        "rows": Seeds(len(found["output"]), found.get("row_index"), found.get("row_matrix")),
        "mode": about.mode,
        "rounding": about.rounding,
        "notes": about.notes,
        "engine": about.engine,
        "plan": about.plan,
        "dtype": found["W"].dtype,
        "own": own,
        "bound": found.get("bound"),
        "W": found["W"],
        "bias": dict(zip(about.bias_nodes, found["bias_by_node"], strict=True)),
    }


def _written_at(path: File) -> File:
    """Where a map of this name lies: with the ending, as NumPy has it."""
    if not isinstance(path, str | os.PathLike) or is_written_directly(path):
        return path
    name = os.fspath(path)
    return name if name.endswith(ENDING) or not os.path.basename(name) else name + ENDING


def _stored_at(path: File) -> File:
    """Where `write` put it; or the file of just this name, which somebody has given it."""
    there = _written_at(path)
    if there is path or os.path.exists(os.fspath(there)):  # type: ignore[arg-type]
        return there
    return path


def _unpack(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    arrays, start = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape, dtype=np.int64))
        arrays[name] = flat[start : start + size].reshape(shape)
        start += size
    return arrays
