"""The ``.npz`` form of a map: arrays and one JSON text, no pickle (docs/map_file.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxlin import archives
from onnxlin.affine_map import stored
from onnxlin.affine_map.protocol import Readable
from onnxlin.affine_map.wide import some_rows
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import FileError, ModelError, OptionError
from onnxlin.files import File, described, is_written_directly
from onnxlin.graph.regular import require_regular
from onnxlin.primitives import Array, Shape

ENDING = ".npz"


def write(path: File, m: Readable, bound: Array | None) -> None:
    """Write a map; ``bound`` is its residual's bound times its scale, if known.

    Raises
    ------
    FileError
    """
    W = m.W
    with filling(path, W.shape, W.dtype) as made:
        made.fill(some_rows(W))
        made.finish(m, bound)


@contextmanager
def filling(path: File, shape: Shape, dtype: np.dtype[Any]) -> Iterator[Filling]:
    """Open a map's file to be filled; it is there once the block has ended well.

    Parameters
    ----------
    shape, dtype
        Of W.

    Raises
    ------
    FileError
    """
    with archives.drafting(_written_at(path)) as draft:
        yield Filling(draft, shape, dtype)


@dataclass(frozen=True, eq=False)
class Filling:
    """A map's file in the making: W first, a few rows at a time, then what follows from it."""

    draft: archives.Draft
    shape: Shape
    dtype: np.dtype[Any]
    summed: stored.Sum = field(default_factory=stored.Sum)

    def fill(self, parts: Iterable[Array]) -> None:
        """Write W, of which some rows come after the others, in their order."""
        self.summed.begin("W", self.shape, self.dtype)
        with self.draft.growing("W", self.shape, self.dtype) as put:
            for rows in parts:
                put(rows)
                self.summed.add(rows)
                del rows  # the next are computed now, and these are as large

    @property
    def W(self) -> Array:  # noqa: N802
        """W as it has been written: a read-only memory map, which outlasts the writing."""
        found: Array = self.draft.mapped("W")
        return found

    def finish(self, m: Readable, bound: Array | None) -> None:
        """Write all but W; ``bound`` as in `write`."""
        arrays = _beside(m, bound)
        self.summed.add_all(arrays)
        for name, array in arrays.items():
            self.draft.add(name, array)
        self.draft.add(stored.CHECKSUM, np.array(self.summed.written()))
        self.draft.first(stored.CHECKSUM)


def _beside(m: Readable, bound: Array | None) -> dict[str, Any]:
    """All arrays of a map's file but W and the checksum."""
    inputs, outputs = m.shapes
    about = {
        "format": stored.FORMAT,
        "version": stored.VERSION,
        "inputs": {name: list(shape) for name, shape in inputs.items()},
        "outputs": {name: list(shape) for name, shape in outputs.items()},
        "mode": m.mode,
        "rounding": m.rounding,
        "notes": list(m.notes),
        "features": list(m.names.features),
        "classes": list(m.names.classes),
        "engine": m.engine,
        "plan": m.plan,
        "bias_nodes": list(m.bias_by_node),
    }
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    arrays |= {"b": m.b, "x": m.x, "y": m.y, "residual": m.residual}
    shares = list(m.bias_by_node.values())
    arrays["bias_by_node"] = np.stack(shares) if shares else np.zeros((0, len(m.rows)))
    arrays["output"] = _packed(m.outputs)
    if m.own_outputs is not m.outputs:
        arrays["own_output"] = _packed(m.own_outputs)
    rows = m.rows
    arrays |= {"row_index": rows.index} if rows.matrix is None else {"row_matrix": rows.matrix}
    if bound is not None:
        arrays["bound"] = bound
    return arrays


def _packed(tensors: Mapping[str, Array]) -> Array:
    # Types that NumPy itself does not have would be read back as raw bytes.
    wide = (v if v.dtype.isbuiltin == 1 else v.astype(np.float32) for v in tensors.values())
    return np.concatenate([np.ravel(value) for value in wide])


def required_name(what: str, path: Any) -> str | os.PathLike[str]:
    """Return the name of a file that can be mapped.

    Parameters
    ----------
    what : str
        The argument that asks for it.

    Raises
    ------
    OptionError
        It is no name, or that of a pipe or a device.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(
            f"{what} needs the name of a file, from which W is read as it is needed; "
            f"{path!r} is none. Give a name."
        )
    if is_written_directly(path):
        raise OptionError(
            f"{what} needs a file from which W is read as it is needed; {os.fspath(path)!r} is a "
            "pipe or a device. Give another name."
        )
    return path


def read(path: File, *, mapped: bool = False) -> dict[str, Any]:
    """Read a map: the arguments of `AffineMap`, with ``W`` and ``bias`` apart.

    Parameters
    ----------
    mapped : bool
        Whether W stays where it is, a read-only memory map of the file.

    Raises
    ------
    ModelError
        The file is not there, is no map, or its parts do not fit each other (`stored`).
    OptionError
        What is to be mapped has no name.
    """
    found_at = _stored_at(required_name("mmap=True", path) if mapped else path)
    if isinstance(found_at, str | os.PathLike):
        require_regular(found_at, "map", ModelError)
    try:
        found = archives.read(found_at, ("W",) if mapped else ())
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
        "names": about.names,
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
